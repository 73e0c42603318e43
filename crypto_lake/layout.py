"""The place of everything under `base_path`. Only this module builds a path of the lake; it opens none.

A day is a UTC day. Symbols and exchanges are used as folder names as they are spelled in `config.yml`.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

from crypto_lake import listing
from crypto_lake.proof_places import ProofPlaces
from crypto_lake.store_places import StorePlaces

OPEN_SUFFIX = ".open"
COMPRESSED_SUFFIX = ".zst"
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
HOURS_OF_A_DAY = 24
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH = date(1970, 1, 1)
# In place of a symbol: all of them. A folder of another purpose begins with `_` or a dot.
ANY_SYMBOL = "[A-Za-z0-9]*"
_ANY_DIGIT = "[0-9]"
_ANY_DAY = "-".join(_ANY_DIGIT * count for count in (4, 2, 2))
_is_part = re.compile(r"part-[0-9]{4}\.parquet").fullmatch
# The name of a collector. No `_`, which parts it from the rest of a file's name.
RECORDER = r"[A-Za-z0-9][A-Za-z0-9-]{0,30}"
_is_recorder = re.compile(RECORDER).fullmatch
_is_symbol_journal = re.compile(rf"_segments(?:_({RECORDER}))?\.jsonl").fullmatch
_is_reference = re.compile(rf"(.{{10}})(?:_({RECORDER}))?\.json").fullmatch


def day_of(us: int) -> date:
    """The UTC day of an instant in microseconds since the epoch."""
    return _EPOCH + timedelta(days=us // DAY_US)


def day_start_us(day: date) -> int:
    """The first microsecond of a UTC day, in microseconds since the epoch."""
    return (day - _EPOCH).days * DAY_US


def iso(us: int) -> str:
    """An instant in microseconds since the epoch as people read it: `2025-10-20T00:00:00.098195Z`."""
    return (EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _part_names(folder: Path) -> list[str]:
    """The names of the parts in a folder, in order of time."""
    return sorted(filter(_is_part, listing.names(folder, folders=False, begin="part-")))


@dataclass(frozen=True)
class Layout(ProofPlaces, StorePlaces):
    """The paths of one lake. Nothing here needs to exist.

    What a collector writes bears its name, so several can record into one lake: `recorder` says whose those paths are;
    empty: of a collector without a name.
    """

    base: Path
    recorder: str = ""

    def of(self, recorder: str) -> Self:
        """Return the same lake with the paths of what another collector writes."""
        return self if recorder == self.recorder else replace(self, recorder=recorder)

    # raw: the collector's side

    def raw_symbol(self, exchange: str, symbol: str) -> Path:
        """The folder of all raw days of a symbol."""
        return self.base.joinpath("raw", exchange, symbol)

    def raw_day(self, exchange: str, symbol: str, day: date) -> Path:
        """The folder of the segments that were received on a day."""
        return self.raw_symbol(exchange, symbol) / day.isoformat()

    def segment(self, exchange: str, symbol: str, day: date, number: int, family: str = "part") -> Path:
        """A sealed segment (`family` part or depth, as received, or heal, as fetched later); numbers start at 1.

        Whoever heals does so for all recorders.
        """
        owner = f"_{self.recorder}" if self.recorder and family != "heal" else ""
        return self.raw_day(exchange, symbol, day) / f"{family}{owner}_{number:04d}.jsonl"

    def journal(self, exchange: str, day: date) -> Path:
        """Return what the collector lived through on a day: its connections, and how far off its clock was."""
        return self._journals(exchange) / self.recorder / f"{day.isoformat()}.jsonl"

    def symbol_journal(self, exchange: str, symbol: str, day: date) -> Path:
        """Return what the collector says of a symbol's day; no segment has a name like it."""
        owner = f"_{self.recorder}" if self.recorder else ""
        return self.raw_day(exchange, symbol, day) / f"_segments{owner}.jsonl"

    def journal_days(self, exchange: str) -> list[date]:
        """The days that have a journal, oldest first."""
        return listing.file_days(self._journals(exchange) / self.recorder, ".jsonl")

    def journal_recorders(self, exchange: str) -> list[str]:
        """Those who have journals, sorted; the one without a name is always among them."""
        names = listing.names(self._journals(exchange), folders=True)
        return ["", *sorted(name for name in names if _is_recorder(name))]

    def recorders(self, exchange: str, symbol: str, day: date) -> list[str]:
        """Those who have a journal of a symbol's day, sorted; the one without a name is always among them."""
        names = listing.names(self.raw_day(exchange, symbol, day), folders=False, begin="_segments")
        return sorted({"", *(match[1] or "" for match in map(_is_symbol_journal, names) if match)})

    def _journals(self, exchange: str) -> Path:
        return self.base / "raw" / exchange / "_journal"

    def rejected(self, exchange: str, day: date) -> Path:
        """Frames of a day that could not be understood, verbatim, and what was no line in files of the day."""
        return self.base / "raw" / exchange / "_rejected" / self.recorder / f"{day.isoformat()}.jsonl"

    def set_aside(self, exchange: str, symbol: str, day: date) -> Path:
        """The folder of sealed segments that were damaged, as they were."""
        return self.base / "raw" / exchange / "_rejected" / symbol / day.isoformat()

    def raw_symbols(self, exchange: str) -> list[str]:
        """The symbols that have raw folders, sorted."""
        return listing.symbols(self.base / "raw" / exchange)

    def raw_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have raw folders, oldest first."""
        return listing.days(listing.names(self.raw_symbol(exchange, symbol), folders=True))

    def first_day(self, exchange: str) -> date | None:
        """The first day that has a raw folder, or bars, of any symbol; also if no bar is in them yet."""
        names = {
            name.removesuffix(".parquet")
            for symbol in {*self.raw_symbols(exchange), *self.bars_symbols(exchange)}
            for folder in (self.raw_symbol(exchange, symbol), self.bars_symbol(exchange, symbol))
            for name in [*listing.first_names(folder), *listing.part_folders(folder)]
        }
        return min(listing.days(names), default=None)

    # parquet: the transformer's side

    def bars_symbol(self, exchange: str, symbol: str) -> Path:
        """The folder of all bars of a symbol."""
        return self.base.joinpath("parquet", exchange, symbol)

    def bars_symbols(self, exchange: str) -> list[str]:
        """The symbols that have bars, sorted."""
        return listing.symbols(self.base / "parquet" / exchange)

    def parts_day(self, exchange: str, symbol: str, day: date) -> Path:
        """The folder of the parts of a day that is not compacted (or whose late parts are not yet)."""
        folders = f"year={day.year:04d}", f"month={day.month:02d}", f"day={day.day:02d}"
        return self.bars_symbol(exchange, symbol).joinpath(*folders)

    def part(self, exchange: str, symbol: str, day: date, hour: int) -> Path:
        """The bars of one UTC hour (0 to 23)."""
        return self.parts_day(exchange, symbol, day) / f"part-{hour:04d}.parquet"

    def parts(self, exchange: str, symbol: str, day: date) -> list[Path]:
        """The parts of a day that exist, in order of time."""
        return list(self.parts_by_hour(exchange, symbol, day).values())

    def parts_by_hour(self, exchange: str, symbol: str, day: date) -> dict[int, Path]:
        """The same by hour, in one look at their folder."""
        folder = self.parts_day(exchange, symbol, day)
        return {int(name[5:9]): folder / name for name in _part_names(folder)}

    def daily(self, exchange: str, symbol: str, day: date) -> Path:
        """The bars of a finished day."""
        return self.bars_symbol(exchange, symbol) / f"{day.isoformat()}.parquet"

    def asked(self, exchange: str, symbol: str, day: date) -> Path:
        """The register of the stretches of a day for which an exchange was asked for all trades."""
        return self.raw_day(exchange, symbol, day) / "asked.json"

    def checksum(self, daily: Path) -> Path:
        """Beside a daily file: the line that `sha256sum -c` reads."""
        return daily.with_name(daily.name + ".sha256")

    def manifest(self, daily: Path) -> Path:
        """Beside a daily file: what it was made from."""
        return daily.with_suffix(".json")

    def daily_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have a daily file, oldest first."""
        return listing.file_days(self.bars_symbol(exchange, symbol))

    def part_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have at least one part, oldest first."""
        folders = listing.part_folders(self.bars_symbol(exchange, symbol))
        return [day for day in listing.days(folders) if _part_names(self.parts_day(exchange, symbol, day))]

    def bar_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have bars in either form, oldest first."""
        # In this order, a day that is compacted meanwhile is in one of them.
        return sorted({*self.part_days(exchange, symbol), *self.daily_days(exchange, symbol)})

    def bar_files(self, exchange: str, symbol: str, day: date) -> list[Path]:
        """The files that a day's bars are read from: the daily file where there is one, else the parts. Never both."""
        daily = self.daily(exchange, symbol, day)
        return [daily] if daily.is_file() else self.parts(exchange, symbol, day)

    def minutes_symbol(self, exchange: str, symbol: str) -> Path:
        """The folder of all minute files of a symbol."""
        return self.base / "bars" / "1m" / exchange / symbol

    def minutes(self, exchange: str, symbol: str, day: date) -> Path:
        """The minutes of a finished day, made from its daily file."""
        return self.minutes_symbol(exchange, symbol) / f"{day.isoformat()}.parquet"

    def minute_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have a minute file, oldest first."""
        return listing.file_days(self.minutes_symbol(exchange, symbol))

    def minute_symbols(self, exchange: str) -> list[str]:
        """The symbols that have minute files, sorted."""
        return listing.symbols(self.base / "bars" / "1m" / exchange)

    def candles(self, exchange: str, symbol: str, day: date) -> Path:
        """The exchange's own 1-minute candles of a day."""
        return self.base / "backfill" / exchange / symbol / f"{day.isoformat()}.parquet"

    def candle_days(self, exchange: str, symbol: str) -> list[date]:
        """The days whose candles were backfilled, oldest first."""
        return listing.file_days(self.base / "backfill" / exchange / symbol)

    def candle_exchanges(self) -> list[str]:
        """The exchanges that have backfilled candles, sorted."""
        return sorted(listing.names(self.base / "backfill", folders=True))

    def candle_symbols(self, exchange: str) -> list[str]:
        """The symbols that have backfilled candles, sorted."""
        return listing.symbols(self.base / "backfill" / exchange)

    @property
    def halts(self) -> Path:
        """The minutes of finished days for which an exchange has no candle."""
        return self.base / "state" / "halts.json"

    @property
    def halts_lock(self) -> Path:
        """Keeps two runs from entering halts at the same time."""
        return self.base / "state" / "locks" / "halts.lock"

    # ticks: trades and quotes of finished days

    def ticks_symbol(self, exchange: str, symbol: str) -> Path:
        """The folder of all ticks of a symbol."""
        return self.base / "ticks" / exchange / symbol

    def ticks(self, exchange: str, symbol: str, table: str, day: date) -> Path:
        """The `trades` or the `quotes` (`table`) of a finished day."""
        return self.ticks_symbol(exchange, symbol) / table / f"{day.isoformat()}.parquet"

    def ticks_manifest(self, exchange: str, symbol: str, day: date) -> Path:
        """The manifest of a day's ticks: what they were made from."""
        return self.ticks_symbol(exchange, symbol) / f"{day.isoformat()}.json"

    def ticks_staging(self, exchange: str, symbol: str) -> Path:
        """The folder in which a day's ticks are gathered by hour; the next run removes what a crash leaves there."""
        return self.ticks_symbol(exchange, symbol) / ".staging"

    def ticks_days(self, exchange: str, symbol: str, table: str = "trades") -> list[date]:
        """The days that have ticks of a table, oldest first."""
        return listing.file_days(self.ticks_symbol(exchange, symbol) / table)

    def ticks_symbols(self, exchange: str) -> list[str]:
        """The symbols that have ticks, sorted."""
        return listing.symbols(self.base / "ticks" / exchange)

    # reference: what the exchanges list

    def reference(self, exchange: str, day: date) -> Path:
        """The instruments that an exchange listed on a day, as one collector saw them."""
        owner = f"_{self.recorder}" if self.recorder else ""
        return self.base / "reference" / exchange / f"{day.isoformat()}{owner}.json"

    def references(self, exchange: str) -> list[tuple[date, Path]]:
        """The tables of instruments of all collectors, each with its day, oldest first, those of a day by name."""
        folder = self.base / "reference" / exchange
        matches = map(_is_reference, listing.names(folder, folders=False, end=".json"))
        found = [(day, match) for match in matches if match and (day := listing.named_day(match[1]))]
        return [
            (day, folder / match[0])
            for day, match in sorted(found, key=lambda one: (one[0], one[1][2] or ""))
        ]

    # what was written for other programs

    def exports(self, kind: str) -> Path:
        """The folder of what was written for other programs, in one format."""
        return self.base / "exports" / kind

    # patterns, as DuckDB reads them

    def every_day(self, file: Path) -> Path:
        """The pattern of the files of all days that lie beside a day's file."""
        return file.with_name(f"{_ANY_DAY}{file.suffix}")

    def every_part(self, part: Path) -> Path:
        """The pattern of the parts that lie beside a part."""
        return part.with_name(f"part-{_ANY_DIGIT * 4}{part.suffix}")

    # the rest

    def columns(self, table: str) -> Path:
        """A file in the columns of `bars`, `trades` or `quotes` in which there is nothing."""
        return self.base / "state" / "columns" / f"{table}.parquet"

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.base / "logs"

    @property
    def collector_log(self) -> Path:
        """What the collector says."""
        return self.logs / (f"collector-{self.recorder}.log" if self.recorder else "collector.log")

    def validation(self, day: date) -> Path:
        """The verdicts of a day's checks, for programs."""
        return self.logs / "validation" / f"{day.isoformat()}.json"

    def validation_of_shard(self, day: date, shard: int, shards: int) -> Path:
        """The verdicts on those symbols of a day that belong to one of several shards."""
        return self.logs / "validation" / "shards" / f"{day.isoformat()}.{shard}-of-{shards}.json"

    def validation_page(self, day: date) -> Path:
        """The verdicts of a day's checks, for people."""
        return self.validation(day).with_suffix(".html")

    def report(self, day: date) -> Path:
        """A day's page: charts, coverage and verdicts."""
        return self.base / "reports" / f"{day.isoformat()}.html"

    @property
    def validation_lock(self) -> Path:
        """Keeps two runs off the validations."""
        return self.base / "state" / "locks" / "validation.lock"

    @property
    def collector_status(self) -> Path:
        """The collector's status file: how it is, replaced each second or so."""
        state = self.base / "state"
        return state / "collectors" / f"{self.recorder}.json" if self.recorder else state / "collector.json"

    def status_recorders(self) -> list[str]:
        """Those who have a status file, sorted; the one without a name is always among them."""
        names = listing.names(self.base / "state" / "collectors", folders=False, end=".json")
        return ["", *sorted(name for name in (name[:-5] for name in names) if _is_recorder(name))]

    @property
    def collector_lock(self) -> Path:
        """Keeps two collectors of one name off one lake."""
        return self.base / (f".collector-{self.recorder}.lock" if self.recorder else ".collector.lock")

    def bars_lock(self, exchange: str, symbol: str) -> Path:
        """Keeps two runs off the bars of one symbol."""
        return self.base / "state" / "locks" / f"{exchange}-{symbol}.lock"

    def workspace(self, exchange: str, symbol: str) -> Path:
        """The folder of what one symbol's run needs on disk while it runs, under the lock of its bars."""
        return self.base / "state" / "work" / f"{exchange}-{symbol}"

    @property
    def spill(self) -> Path:
        """The folder in which DuckDB puts what exceeds its memory, under names of its own; gone when it is done."""
        return self.base / "state" / "spill"

    def heal_lock(self, exchange: str, symbol: str) -> Path:
        """Keeps two runs from fetching one symbol's missing trades twice."""
        return self.base / "state" / "locks" / f"{exchange}-{symbol}-heal.lock"

    @property
    def database(self) -> Path:
        """The DuckDB file of views; made anew from the files at will."""
        return self.base / "lake.duckdb"
