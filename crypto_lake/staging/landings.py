"""Who brought raw files into a store, and when: so that nobody lists thousands of folders to know where to look.

Each `crypto-lake ship` says it of its own, and a run of the symbols that it healed; merged when read. Times are those
of who says it.
"""

from datetime import date

from msgspec import json

from crypto_lake.config import Config
from crypto_lake.disk.store import Store
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import Layout
from crypto_lake.listing import named_day
from crypto_lake.staging import identity

# By day, then by symbol (exchange/symbol): when something came (ns).
Told = dict[str, dict[str, int]]
DAYS_TOLD = 5


def tell(store: Store, layout: Layout, name: str, told: Told) -> None:
    """Say, as `name`, what has come.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    key = layout.key(layout.landed(name))
    store.put_bytes(key, json.encode({day: told[day] for day in sorted(told)[-DAYS_TOLD:]}))


def tell_also(store: Store, layout: Layout, name: str, told: Told) -> None:
    """The same beside what was said before. Raises as `tell`."""
    key = layout.key(layout.landed(name))
    before = _understood(store.read(key))
    tell(store, layout, name, before | {day: before.get(day, {}) | new for day, new in told.items()})


def told(config: Config) -> dict[tuple[str, str], dict[date, int]]:
    """Return, by exchange and symbol, the days of receipt of which something came lately, and when (ns).

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    store, layout = identity.opened(config), config.layout
    folder = layout.key(layout.landed("").parent)
    found: dict[tuple[str, str], dict[date, int]] = {}
    for content in store.each(store.read, store.entries(folder)):
        for day, symbols in _understood(content).items():
            for name, at_ns in symbols.items():
                exchange, _, symbol = name.partition("/")
                if here := named_day(day):
                    of_symbol = found.setdefault((exchange, symbol), {})
                    of_symbol[here] = max(at_ns, of_symbol.get(here, 0))
    return found


def _understood(content: bytes | None) -> Told:
    try:
        return json.decode(content or b"{}", type=Told)
    except NOT_JSON:
        return {}
