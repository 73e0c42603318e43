"""The manifest of a day's ticks: what they hold, and which segments they can stand for.

Here belongs what the recording remembers of itself in its ticks; how ticks are made is told in `transform.ticks`.
"""

from datetime import date
from typing import Any

from msgspec import Struct, json

from crypto_lake.disk import publish
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import Layout
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import TICKS


class Kept(Struct, frozen=True, omit_defaults=True):
    """The memory of a day's ticks, in the manifest beside them.

    `made_from` is the fingerprint of what they were made from; `segments` the names and sizes of all segments whose
    lines of the day are in them; `listened` when somebody was listening, on the exchange's clock, or nothing is missing
    all the same; `heard` the former alone, None of ticks that were made before it was noted. `spare` are segments that
    were there and not read, since another recorder's lacked nothing.
    """

    rows: dict[str, int]
    sha256: dict[str, str]
    made_from: dict[str, Any]
    segments: list[tuple[str, int]]
    listened: list[Interval]
    span: Interval
    trade_ids: Interval | None
    spare: list[tuple[str, int]] = []
    heard: list[Interval] | None = None

    @property
    def known(self) -> set[tuple[str, int]]:
        """All segments that nothing has to be read of any more."""
        return {*self.segments, *self.spare}


def read_kept(layout: Layout, exchange: str, symbol: str, day: date) -> Kept | None:
    """The manifest of a day's ticks; None where there is none that can be understood, or no ticks beside it."""
    kept = read_manifest(layout, exchange, symbol, day)
    ticks = [layout.ticks(exchange, symbol, stream.table, day) for stream in TICKS]
    return kept if kept and all(path.exists() for path in ticks) else None


def read_manifest(layout: Layout, exchange: str, symbol: str, day: date) -> Kept | None:
    """The same, whether the ticks are beside it or not."""
    try:
        kept = json.decode(publish.read(layout.ticks_manifest(exchange, symbol, day)), type=Kept)
    except (OSError, *NOT_JSON):
        return None
    tables = {stream.table for stream in TICKS}
    return kept if kept.rows.keys() == kept.sha256.keys() == tables else None
