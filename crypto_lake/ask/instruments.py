"""The view `instruments` over the tables that the collector leaves, `raw.instruments`."""

from pathlib import Path

import duckdb

from crypto_lake import sql
from crypto_lake.ask import tables
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.raw import instruments

_BEGIN, _END = b"[", b"]"
_TAIL = 8
# Left out where it changes nothing: a window would have to see all rows.
_ONCE = "QUALIFY row_number() OVER (PARTITION BY exchange, day, symbol ORDER BY filename) = 1"


def create(connection: duckdb.DuckDBPyConnection, config: Config, *, thorough: bool) -> list[Path]:
    """Make the view over the files that there are now; those left out, because they are damaged, are returned.

    `thorough`: each is read for that; else only its ends are looked at.
    """
    paths = [path for exchange in config.exchanges for _, path in config.layout.references(exchange.name)]
    good, left_out = tables.parted(paths, _is_readable if thorough else _is_whole, "instruments")
    if good:
        once = "" if len(good) == len({(path.parent, path.name[:10]) for path in good}) else _ONCE
        sql.define(connection, "ask/instruments", files=tables.in_lake(config, good), once=once)
    else:
        sql.define(connection, "ask/no_instruments")
    return left_out


def _is_whole(path: Path) -> bool:
    """Return whether a file begins and ends as a table does; what lies between is not looked at."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_BEGIN)) == _BEGIN
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            return begins and file.read().rstrip().endswith(_END)
    except OSError:
        return False


def _is_readable(path: Path) -> bool:
    try:
        instruments.read(path)
    except LakeError:
        return False
    return True
