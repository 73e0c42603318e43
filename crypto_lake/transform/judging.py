"""The judgement of a day by its files: boundaries of the book and quotes are read, a stretch at a time, and judged.

How that is told is the business of `verdicts`; what becomes of it that of `proof`.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from msgspec import Struct
from pyarrow import parquet as pq

from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US, day_start_us, iso
from crypto_lake.raw.lines import QUOTE
from crypto_lake.schema import PROOF
from crypto_lake.series import Series
from crypto_lake.transform import best, depth, levels, verdicts
from crypto_lake.transform.levels import Asked
from crypto_lake.transform.verdicts import SECONDS, Boundaries, Compared, Quotes, Seconds, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 131_072
_OFFENDERS = 20
_NONE = -1
_OF_BOUNDARIES = ["ts_event", "first_id", "id", *best.COLUMNS, "unbroken", "certain"]


class Counts(Struct, frozen=True):
    """A day's proof in numbers. `breaks`: how often an event of depth is not the next one after that before it."""

    equal: int
    contradicted: int
    untold: int
    lost: int
    breaks: int
    seconds_proved: int
    seconds_contradicted: int
    seconds_unverifiable: int
    seconds_filled: int

    @property
    def boundaries(self) -> int:
        """How many were held against the book; of those untold nothing came of it."""
        return self.equal + self.contradicted + self.untold


class Offender(Struct, frozen=True):
    """A boundary that contradicts the quote held there: its id and time, the quote's id, both best bids and asks.

    `lost`: a newer quote was lost; else the book lacks a level, or was told nothing of it (not `told`), and it is not
    known who is wrong.
    """

    id: int
    at: str
    quote_id: int
    book: list[str]
    quote: list[str]
    lost: bool
    told: bool


class Judged(NamedTuple):
    """A day of which every boundary and second has been judged; `is_lost` and `is_untold` say it of boundaries."""

    boundaries: Boundaries
    compared: Compared
    is_lost: "NDArray[np.bool_]"
    is_untold: "NDArray[np.bool_]"
    seconds: Seconds

    @property
    def counts(self) -> Counts:
        """Return the day in numbers."""
        by_verdict = np.bincount(self.seconds.verdict, minlength=len(Verdict))
        torn = verdicts.torn(self.boundaries)
        return Counts(
            equal=int(self.seconds.equal.sum()),
            contradicted=int(self.seconds.contradicted.sum()),
            untold=int(self.is_untold[1:].sum()),
            lost=int(self.is_lost[1:].sum()),
            breaks=len(torn),
            seconds_proved=int(by_verdict[Verdict.PROVED]),
            seconds_contradicted=int(by_verdict[Verdict.CONTRADICTED]),
            seconds_unverifiable=int(by_verdict[Verdict.UNVERIFIABLE]),
            seconds_filled=int(self.seconds.fills.sum()),
        )

    def offenders(self, most: int = _OFFENDERS) -> list[Offender]:
        """Return the first boundaries that contradict a quote, or cannot."""
        is_wrong = self.compared.is_compared & ~self.compared.is_equal
        some = np.flatnonzero(is_wrong | self.is_untold)[:most]
        return [
            Offender(
                id=int(self.boundaries.id[n]),
                at=iso(int(self.boundaries.ts[n])),
                quote_id=int(self.compared.quote_id[n]),
                book=best.spelt(self.boundaries.best[n]),
                quote=best.spelt(self.compared.quote[n]),
                lost=bool(self.is_lost[n]),
                told=not self.is_untold[n],
            )
            for n in some
            if n
        ]


class Day(NamedTuple):
    """A symbol's finished day: its files that have to do with a proof."""

    series: Series
    day: date

    @property
    def before(self) -> "Day":
        """The day before."""
        return Day(self.series, self.day - timedelta(days=1))

    @property
    def path(self) -> Path:
        """The proof."""
        return self.series.layout.proof(self.series.exchange, self.series.symbol, self.day)

    @property
    def beside(self) -> tuple[Path, Path]:
        """Its manifest and its checksum."""
        return self.series.layout.manifest(self.path), self.series.layout.checksum(self.path)

    @property
    def boundaries(self) -> Path:
        """The best bid and ask after each event of its depth."""
        return self.series.layout.boundaries(self.series.exchange, self.series.symbol, self.day)

    @property
    def depth(self) -> Path:
        """Its level changes."""
        return self.series.layout.depth(self.series.exchange, self.series.symbol, self.day)

    @property
    def quotes(self) -> Path:
        """Its quotes."""
        return self.series.layout.ticks(self.series.exchange, self.series.symbol, QUOTE.table, self.day)

    @property
    def needed(self) -> dict[str, Path]:
        """The files without which there is no proof."""
        return {"boundaries": self.boundaries, "depth": self.depth, "quotes": self.quotes}

    @property
    def read(self) -> dict[str, Path]:
        """All files that a proof is made from, where they are there."""
        before = self.before
        return self.needed | {
            "boundaries_before": before.boundaries,
            "quotes_before": before.quotes,
            "proof_before": before.path,
        }

    @property
    def followed(self) -> bool:
        """Whether an event of the next day follows on the last one of its depth."""
        kept = depth.read_kept(self.series, self.day)
        return bool(kept and kept.followed)

    def made_from(self) -> dict[str, str | None]:
        """The checksums of what a proof of the day is made from, as they are noted; None where there is no file."""
        noted = {name: self._checksum(path) for name, path in self.read.items()}
        return noted | {"followed": str(self.followed)}

    def _checksum(self, path: Path) -> str | None:
        if not path.is_file():
            return None
        noted = checksums.noted(self.series.layout.checksum(path))
        return noted if checksums.is_one(noted) else checksums.of(path)


def judge(series: Series, day: date) -> Judged:
    """Judge a day's quotes by its book, from the files alone; the proof is not looked at.

    Raises:
        LakeError: a file is damaged.
    """
    of, start = Day(series, day), day_start_us(day)
    try:
        boundaries = _boundaries(of)
        found = verdicts.compare(boundaries, _quotes(of), start)
        boundaries = boundaries._replace(certain=verdicts.certain(boundaries, found))
        compared, is_lost = _lost(of, boundaries, found)
        is_untold = found.is_compared & ~compared.is_compared
        seconds = verdicts.judge(boundaries, compared, is_lost, start, _carried(of.before.path))
    except (pa.ArrowException, OSError) as error:
        told = " ".join(str(error).split())
        bad = next(
            (path for path in of.read.values() if path.is_file() and not parquet.is_readable(path)), None
        )
        where = f"{bad}: damaged" if bad else f"{series.symbol} {day}: its quotes cannot be judged"
        raise LakeError(f"{where}: {told}") from None
    return Judged(boundaries, compared, is_lost, is_untold, seconds)


def _boundaries(of: Day) -> Boundaries:
    """The boundaries of a day, after the last one of the day before."""
    file = _opened(of.boundaries)
    count = 1 + file.metadata.num_rows
    found = Boundaries(
        ts=np.full(count, day_start_us(of.day) - 1),
        first_id=np.full(count, _NONE),
        id=np.full(count, _NONE),
        best=np.zeros((count, 6), dtype=np.int64),
        both=np.zeros(count, dtype=bool),
        unbroken=np.zeros(count, dtype=bool),
        certain=np.zeros(count, dtype=bool),
        followed=of.followed,
    )
    if of.before.boundaries.is_file() and (last := _last_rows(of.before.boundaries)[-1:]):
        _put(found, 0, last)
    at = 1
    # A stretch at a time: a day's whole table takes more memory than all that is made of it.
    for batch in file.iter_batches(_BATCH, columns=_OF_BOUNDARIES):
        _put(found, at, pa.Table.from_batches([batch]))
        at += len(batch)
    return found


def _opened(path: Path) -> pq.ParquetFile:
    # Else it is held in memory, compressed, from the first stretch on.
    return pq.ParquetFile(path, pre_buffer=False)


def _put(found: Boundaries, at: int, rows: pa.Table) -> None:
    here = slice(at, at + len(rows))
    found.ts[here] = parquet.integers(rows, "ts_event")
    found.first_id[here] = parquet.integers(rows, "first_id")
    found.id[here] = parquet.integers(rows, "id")
    found.best[here] = best.numbers(rows)
    found.both[here] = best.valid(rows["bid"]) & best.valid(rows["ask"])
    found.unbroken[here] = best.truths(rows["unbroken"])
    found.certain[here] = best.truths(rows["certain"])


def _last_rows(path: Path) -> pa.Table:
    """Return the last rows of a file, some 100,000; none where it has none."""
    file = pq.ParquetFile(path)
    return (
        file.read_row_group(file.num_row_groups - 1, use_threads=False)
        if file.num_row_groups
        else file.read()
    )


def _quotes(of: Day) -> Iterator[Quotes]:
    """The last quotes of the day before, and those of a day, a stretch at a time."""
    columns = ["id", "ts_event", *best.COLUMNS]
    if of.before.quotes.is_file():
        yield _stretch(_last_rows(of.before.quotes))
    for batch in _opened(of.quotes).iter_batches(_BATCH, columns=columns):
        yield _stretch(pa.Table.from_batches([batch]))


def _stretch(rows: pa.Table) -> Quotes:
    return Quotes(parquet.integers(rows, "ts_event"), parquet.integers(rows, "id"), best.numbers(rows))


def _lost(of: Day, boundaries: Boundaries, found: Compared) -> tuple[Compared, "NDArray[np.bool_]"]:
    """Tell of each boundary whether a quote was lost there, and leave out those at which that cannot be told.

    The level in question has changed since the quote then, which the newer quote would have told. If it has not, the
    quote is right, and the book lacks what the exchange told nobody of; or what it told nobody of yet, and then nothing
    is known.
    """
    rows = found.different
    lost, told = np.zeros((2, len(boundaries.id)), dtype=bool)
    lost[rows] = True
    for number, side in enumerate((best.BID, best.ASK)):
        prices = verdicts.disputed(boundaries, found, side)
        some, prices = rows[prices > _NONE], prices[prices > _NONE]
        if len(some):
            # Where the book's own level is the better one, an event told of it, and it is no doubt there.
            is_vague = ~boundaries.certain[some] & (boundaries.best[some, side.start] != prices)
            asked = Asked(
                np.full(len(some), number), prices, found.quote_id[some], boundaries.id[some], is_vague
            )
            changed = levels.changed(of.depth, asked)
            lost[some] &= changed
            told[some] |= changed | ~is_vague
    is_compared = found.is_compared & (found.is_equal | told)
    return found._replace(is_compared=is_compared), lost & is_compared


def _carried(path: Path) -> "NDArray[np.int64] | None":
    """Return the best bid and ask of the book with which the day before ends, where it ends with one; by its proof."""
    if not path.is_file():
        return None
    last = _last_rows(path)[-1:]
    return best.numbers(last)[0] if len(last) and best.valid(last["bid"])[0] else None


def table(of: Day, seconds: Seconds) -> pa.Table:
    """Return a day's seconds as the rows of its proof."""
    starts = day_start_us(of.day) + np.arange(SECONDS, dtype=np.int64) * SECOND_US
    names = pa.array([one.name.lower() for one in Verdict])
    columns = {
        "symbol": pa.repeat(of.series.symbol, SECONDS),
        "window_start": parquet.array(starts).view(pa.timestamp("us", tz="UTC")),
        "boundaries": parquet.array(seconds.boundaries),
        "equal": parquet.array(seconds.equal),
        "contradicted": parquet.array(seconds.contradicted),
        "verdict": names.take(parquet.array(seconds.verdict)),
        **best.columns(seconds.fill, seconds.fills),
    }
    return pa.table(columns, schema=parquet.arrow_schema(PROOF))
