"""Bring what a question is about from the store: its tables' files, of its symbols and days, and no other.

Without a store the lake itself is asked, and nothing is brought. What cannot be told from a question's own words is
brought whole: all days there are, of the tables that it names.
"""

import contextlib
from collections.abc import Iterator
from datetime import date

import duckdb

from crypto_lake.ask import narrowing, views
from crypto_lake.ask.sources import EVERYTHING, Chosen
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.showing import is_unicode
from crypto_lake.staging import Reach, Rooms, holdings, known, staged
from crypto_lake.staging.holdings import Kind

_BARS = Rooms.BARS | Rooms.MINUTES
_ROOMS = (
    dict.fromkeys(views.OF_TICKS, Rooms.TICKS)
    | {"bars_1s": Rooms.BARS, "candles_1m": Rooms.CANDLES, "instruments": Rooms.INSTRUMENTS}
    | {"coverage": Rooms.VERDICTS, "depth": Rooms.DEPTH, "book_1s": Rooms.DEPTH}
    | {"history_1m": _BARS | Rooms.CANDLES}
)
_EVERY = _BARS | Rooms.TICKS | Rooms.DEPTH | Rooms.CANDLES | Rooms.INSTRUMENTS | Rooms.VERDICTS
_KINDS = {
    Rooms.BARS: (Kind.PARTS, Kind.DAILY),
    Rooms.TICKS: (Kind.TICKS,),
    Rooms.CANDLES: (Kind.CANDLES,),
    Rooms.DEPTH: (Kind.DEPTH,),
    Rooms.VERDICTS: (Kind.DAILY,),
}
# Newest rows are looked for in so many newest days first.
_NEWEST = (2, 31)


@contextlib.contextmanager
def brought(config: Config, sql: str, chosen: Chosen | None = None) -> Iterator[Config]:
    """Give a lake in which a question is answered as over everything; `chosen` says, if it is known, what it is about.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    if config.store is None or not is_unicode(sql):
        yield config
        return
    with parquet.connect() as connection:
        rooms = _rooms(connection, sql)
        wanted = chosen or narrowing.told(connection, sql) or EVERYTHING
        series = [one for one in known(config) if wanted.symbol in {None, one.symbol}]
        kinds = {kind for room, some in _KINDS.items() if room & rooms for kind in some}
        days = sorted(wanted.of(holdings.days(config, series, *kinds)))
        for count in _NEWEST if narrowing.asks_for_newest(connection, sql) else ():
            with staged(config, series, days[-count:], rooms, reach=Reach.EXACTLY) as local:
                if narrowing.has_newest(connection, local.config, sql):
                    yield local.config
                    return
    with staged(config, series, days, rooms, reach=Reach.EXACTLY) as local:
        yield local.config


def _rooms(connection: duckdb.DuckDBPyConnection, sql: str) -> Rooms:
    """Return the kinds of files that the tables of a question are made of; all, where it does not tell them."""
    try:
        tree = narrowing.tree_of(connection, sql)
        found = Rooms(0)
        for node in narrowing.nodes(tree):
            if node.get("type") == "TABLE_FUNCTION":
                return _EVERY
            if node.get("type") == "BASE_TABLE":
                found |= _ROOMS.get(node["table_name"].lower(), _BARS)
    except (duckdb.Error, LookupError, TypeError, ValueError, RecursionError):
        return _EVERY
    return _EVERY if tree.get("error") else found


def newest_day(config: Config) -> date | None:
    """Return the newest day of which there are bars; None of a lake without. Raises as `brought`."""
    return max(holdings.days(config, known(config), Kind.PARTS, Kind.DAILY), default=None)
