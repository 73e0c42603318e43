"""Coverage held against the files again: each row is told anew, each file read whole, and every difference named."""

from collections.abc import Iterator, Sequence
from datetime import date

import duckdb
from msgspec import structs

from crypto_lake.config import Config
from crypto_lake.coverage import rows, table
from crypto_lake.coverage.rows import File, Row
from crypto_lake.errors import LakeError
from crypto_lake.series import Series

# Once the files that healed trades came in are gone, nothing tells how many there were.
_FADES = "trades_healed"


def differences(
    connection: duckdb.DuckDBPyConnection, config: Config, series: Sequence[Series], day: date, now_us: int
) -> Iterator[str]:
    """Yield what a day's coverage says otherwise than its files, a line each; none where they agree."""
    path = config.layout.coverage(day)
    try:
        noted = {(row.exchange, row.symbol): row for row in table.understood(path)}
    except LakeError as error:
        yield str(error)
        return
    for one in sorted(series, key=lambda one: (one.exchange, one.symbol)):
        row = noted.pop((one.exchange, one.symbol), None)
        try:
            found = rows.of_day(connection, [one], day, now_us, thorough=True)
        except LakeError as error:
            yield f"{day} {one.symbol}: {error}"
            continue
        if row and not found:
            yield from _gone(row)
        elif found and not row:
            yield f"{day} {one.symbol}: has a daily file, and no row in {path}"
        elif row:
            yield from _between(row, found[0])
    for row in noted.values():
        yield from _gone(row)


def _gone(row: Row) -> Iterator[str]:
    yield f"{row.day} {row.symbol}: has a row, and no daily file; expected {', '.join(one.path for one in row.files)}"


def _between(noted: Row, found: Row) -> Iterator[str]:
    where = f"{noted.day} {noted.symbol}"
    for name, before in structs.asdict(noted).items():
        now = getattr(found, name)
        if name == "files":
            yield from (f"{where}: {said}" for said in _files(before, now))
        elif before != now and not (name == _FADES and now is None):
            yield f"{where}: {name} is noted as {_spelt(before)}; its files say {_spelt(now)}"


def _files(noted: Sequence[File], found: Sequence[File]) -> Iterator[str]:
    before, now = {one.path: one for one in noted}, {one.path: one for one in found}
    for path in sorted(before.keys() | now.keys()):
        old, new = before.get(path), now.get(path)
        if new is None:
            yield f"{path}: is gone"
        elif old is None:
            yield f"{path}: is there, and not noted"
        elif old != new:
            yield f"{path}: {old.bytes:,} bytes of sha256 {old.sha256} are noted; it has {new.bytes:,} of {new.sha256}"


def _spelt(value: object) -> str:
    return "null" if value is None else str(value)
