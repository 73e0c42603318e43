"""The files of a day's book, and the manifest beside them: what they were made from, and what was learnt on the way."""

from datetime import date
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, json

from crypto_lake.book.chain import Anchor, Break
from crypto_lake.disk import publish
from crypto_lake.errors import NOT_JSON
from crypto_lake.series import Series

# Goes up when the same depth would give another book.
BOOK_VERSION = 2
Table = Literal["book", "boundaries", "end"]


class End(Struct, frozen=True):
    """The end of a day's chain: the id of its last event, and from which keys on the sides are known there.

    `is_known`: whether the book is, and lies beside. `floors` of bids and asks as in `book.side`, in 10⁻⁸.
    """

    id: int
    is_known: bool
    floors: tuple[int | None, int | None]


class Breaks(Struct, frozen=True):
    """The breaks of a day's chain: how many there are, and the first of them."""

    count: int
    first: list[Break]


class Anchors(Struct, frozen=True):
    """The snapshots of a day, by their use: how many there are, and the first of them; the levels of all."""

    counts: dict[str, int]
    levels_compared: int
    levels_different: int
    first: list[Anchor]


class KeptBook(Struct, frozen=True):
    """The memory of a day's book, in the manifest beside it. `rows` and `sha256` by table.

    `made_from` has the version, the checksum of the depth, and what was carried in from the day before, if anything.
    """

    rows: dict[Table, int]
    sha256: dict[Table, str]
    made_from: dict[str, Any]
    breaks: Breaks
    anchors: Anchors
    end: End | None


def paths(series: Series, day: date) -> dict[Table, Path]:
    """The files of a day's book, by table; that of its end is only there where the book is known then."""
    layout, where = series.layout, (series.exchange, series.symbol, day)
    return {
        "book": layout.book(*where),
        "boundaries": layout.boundaries(*where),
        "end": layout.book_end(*where),
    }


def read_kept(series: Series, day: date) -> KeptBook | None:
    """The manifest of a day's book; None where there is none that can be understood, or a file is not beside it."""
    found = paths(series, day)
    try:
        kept = json.decode(publish.read(series.layout.manifest(found["book"])), type=KeptBook)
    except (OSError, *NOT_JSON):
        return None
    names: set[Table] = {"book", "boundaries"}
    if kept.end and kept.end.is_known:
        names.add("end")
    return kept if kept.sha256.keys() == names and all(found[name].exists() for name in names) else None
