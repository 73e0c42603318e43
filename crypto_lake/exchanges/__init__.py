"""One package an exchange: its endpoints, its wire format, its REST interface, its limits, what its data can prove.

A package's `EXCHANGE` (`base.Exchange`) says all that differs; nothing outside of the package knows the exchange, and
`registry` finds it by the package's name. Another distribution adds one by installing `crypto_lake/exchanges/<name>/`,
or by adding the folder that holds it to this package's `__path__`.

No file of the lake is opened here, and nothing is decided about what was received.
"""
