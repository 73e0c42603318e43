"""Registers that all symbols share in a lake of one machine, and that are an object a symbol in a store.

So two runs that are at different symbols never write over each other's entries.
"""

from typing import Any

from msgspec import json

from crypto_lake.disk import publish
from crypto_lake.disk.store import Store
from crypto_lake.errors import NOT_JSON
from crypto_lake.staging.needs import Needs, Rooms

# By exchange and symbol: the halts by day, as the register spells them.
Halts = dict[tuple[str, str], dict[str, Any]]


def bring_halts(store: Store, needs: Needs) -> Halts:
    """Make the register of the halts of the symbols that are needed; return what it says.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    if Rooms.CANDLES not in needs.rooms:
        return {}
    wanted = {
        needs.layout.key(needs.layout.halts_of(one.exchange, one.symbol)): (one.exchange, one.symbol)
        for one in needs.series
    }
    folder = needs.layout.key(needs.layout.halts.with_suffix(""))
    there = [key for key in store.entries(folder) if key in wanted]
    found: Halts = {}
    register: dict[str, dict[str, Any]] = {}
    for key, content in zip(there, store.each(store.read, there), strict=True):
        exchange, symbol = wanted[key]
        try:
            days = json.decode(content or b"{}", type=dict[str, Any])
        except NOT_JSON:
            continue  # As good as none; the next halt of the symbol writes it anew.
        found[exchange, symbol] = register.setdefault(exchange, {})[symbol] = days
    if register:
        publish.write(needs.layout.halts, json.encode(register))
    return found


def ship_halts(store: Store, needs: Needs, before: Halts) -> None:
    """Put what a run has entered of the symbols that are needed.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    if Rooms.CANDLES not in needs.rooms or not needs.layout.halts.exists():
        return
    register = json.decode(publish.read(needs.layout.halts), type=dict[str, dict[str, dict[str, Any]]])
    for one in needs.series:
        days = register.get(one.exchange, {}).get(one.symbol, {})
        if days != before.get((one.exchange, one.symbol), {}):
            key = needs.layout.key(needs.layout.halts_of(one.exchange, one.symbol))
            store.put_bytes(key, json.encode(days) + b"\n")
