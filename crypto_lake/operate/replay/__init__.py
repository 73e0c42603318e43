"""A finished day of the lake, as the exchange would say it again: what `crypto-lake replay` does.

Here belongs how a lake's files become what the bundled exchange is fed with: `rows` (ticks, a piece at a time), `depth`
(the book), `candles`, `heard` (when somebody was listening), `files` (which there are), `tape` (all of it, as the
exchange asks for it) and `serve` (the command). How it is said to clients is the bundled exchange's.
"""
