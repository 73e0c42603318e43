"""The proof of a day's quotes: a file that says of each second whether the order book proves or contradicts them.

It is made anew when what it was made from has changed (`judging` reads that, `verdicts` judges it). The steps, each of
which a crash may follow:

1. judge    2. the daily file with what the proof says (`daily`), and its minutes    3. the proof, its checksum
4. its manifest, without which it does not count

So where there is a proof, a daily file has the columns that it adds, and whoever asks need not look into it.
"""

from datetime import date
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from loguru import logger
from msgspec import Struct, json, to_builtins
from pyarrow import parquet as pq

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.schema import PROOF
from crypto_lake.series import Series
from crypto_lake.transform import judging
from crypto_lake.transform.judging import Counts, Day, Judged, Offender
from crypto_lake.transform.verdicts import SECONDS

# Goes up when the same boundaries and quotes would give another proof.
PROOF_VERSION = 4
_COMPRESSION = "zstd"
MadeFrom = dict[str, str | None]


class Manifest(Struct, frozen=True):
    """What stands beside a day's proof: what it was made from, its checksum, its numbers, the first offenders."""

    exchange: str
    symbol: str
    day: str
    rows: int
    sha256: str
    schema: dict[str, str]
    version: int
    made_from: MadeFrom
    counts: Counts
    offenders: list[Offender]

    @property
    def name(self) -> str:
        """Return by what others remember this proof."""
        return _name(self.made_from)


class Prepared(NamedTuple):
    """A day's proof before it appears: its name, by what others remember it, and its rows.

    `judged` is what it is made of, None where it is `there` already.
    """

    of: Day
    made_from: MadeFrom
    rows: pa.Table
    judged: Judged | None
    there: Manifest | None

    @property
    def name(self) -> str:
        """A checksum of all that it is made from."""
        return _name(self.made_from)


def prepare(series: Series, day: date) -> Prepared | None:
    """Judge a finished day, whose lock is held, where its proof is not in line with its book and quotes.

    None where it lacks either.

    Raises:
        LakeError: a file is damaged.
    """
    of = Day(series, day)
    if not all(path.is_file() for path in of.needed.values()):
        return None
    wanted = _made_from(of)
    there = _whole(of)
    if there and there.made_from == wanted:
        return Prepared(of, wanted, _rows(of), None, there)
    judged = judging.judge(series, day)
    return Prepared(of, wanted, judging.table(of, judged.seconds), judged, None)


def appear(prepared: Prepared) -> Manifest:
    """Let a proof appear, with its checksum and its manifest, where it is not there; return the latter.

    Raises:
        LakeError: the disk refused.
    """
    of, judged = prepared.of, prepared.judged
    if prepared.there:
        return prepared.there
    assert judged  # noqa: S101 - it is one or the other
    parquet.write_table(prepared.rows, of.path, _COMPRESSION, footer={"version": PROOF_VERSION})
    checksum = checksums.of(of.path)
    checksums.note(of.beside[1], of.path, checksum)
    manifest = Manifest(
        exchange=of.series.exchange,
        symbol=of.series.symbol,
        day=of.day.isoformat(),
        rows=SECONDS,
        sha256=checksum,
        schema={column.name: column.type for column in PROOF},
        version=PROOF_VERSION,
        made_from=prepared.made_from,
        counts=judged.counts,
        offenders=judged.offenders(),
    )
    publish.write(of.beside[0], parquet.canonical(to_builtins(manifest)).encode() + b"\n")
    logger.info("{} {}: quotes proved in {} s", of.series.symbol, of.day, manifest.counts.seconds_proved)
    return manifest


def standing(series: Series, day: date) -> tuple[str, pa.Table] | None:
    """Return the name and the rows of a day's proof as it stands, whose lock is held; None where there is none.

    One that is damaged is removed, and made anew by who makes proofs.

    Raises:
        LakeError: the system refused.
    """
    of = Day(series, day)
    if there := _whole(of):
        return there.name, _rows(of)
    for path in (*of.beside, of.path):
        try:
            publish.patiently(partial(path.unlink, missing_ok=True))
        except OSError as error:
            raise LakeError(f"{path}: cannot be removed: {error.strerror or error}") from None
    return None


def waiting(series: Series) -> set[date]:
    """The days whose proof is not there, or not in line with their book and quotes; noted checksums are compared."""
    layout, found = series.layout, set()
    for day in layout.depth_days(series.exchange, series.symbol):
        of = Day(series, day)
        if all(path.is_file() for path in of.needed.values()):
            there = read(series, day)
            if there is None or there.made_from != _made_from(of):
                found.add(day)
    return found


def read(series: Series, day: date) -> Manifest | None:
    """Return the manifest of a day's proof; None where there is none that can be understood, or no proof beside it."""
    of = Day(series, day)
    try:
        found = json.decode(publish.read(of.beside[0]), type=Manifest)
    except (OSError, *NOT_JSON):
        return None
    return found if of.path.is_file() else None


def _whole(of: Day) -> Manifest | None:
    there = read(of.series, of.day)
    return there if there and not checksums.damage(of.path, of.beside[1]) else None


def _rows(of: Day) -> pa.Table:
    return publish.patiently(lambda: pq.ParquetFile(of.path).read(use_threads=False))


def _made_from(of: Day) -> MadeFrom:
    return of.made_from() | {"version": str(PROOF_VERSION)}


def _name(made_from: MadeFrom) -> str:
    return checksums.of_bytes(parquet.canonical(made_from).encode())
