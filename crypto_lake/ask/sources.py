"""Which files a question's tables are made of: of all days, as patterns, or of chosen ones, one by one.

A day's seconds are read from its daily file, or else from its parts, by the one rule of `Layout.bar_files`; its minutes
from their file, or else from its seconds; nothing is counted twice. Folders are listed for that, no file is opened.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from crypto_lake.config import Config
from crypto_lake.layout import ANY_SYMBOL, EPOCH, MINUTE_US, SECOND_US, Layout
from crypto_lake.raw.lines import TICKS

_ANY = EPOCH.date()


class Chosen(NamedTuple):
    """The files that views are made of: those of one symbol (None: of all), and of the days from `first` to `last`."""

    symbol: str | None = None
    first: date = date.min
    last: date = date.max

    def of(self, days: Iterable[date]) -> list[date]:
        """Return those of some days that are chosen."""
        return [day for day in days if self.first <= day <= self.last]


EVERYTHING = Chosen()


@dataclass
class Files:
    """The files of a table, or patterns of them, that are of the days from `first` to `last` where these are known.

    `elsewhere` are the days (exchange/symbol/day) whose daily files a pattern meets and that do not belong to it.
    """

    paths: list[Path] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    first: date | None = None
    last: date | None = None

    def add(self, path: Path, days: list[date]) -> None:
        """Add the files of some days, in order of time; without any days, none."""
        if days:
            self.paths.append(path)
            self.first = min(self.first or days[0], days[0])
            self.last = max(self.last or days[-1], days[-1])


@dataclass
class Sources:
    """The files of all tables. `seconds` are those of all bars; `lacking` those of days that have no `minutes`.

    Those of days with a proof of their quotes are `proved_…`: they have more columns.
    """

    seconds: Files = field(default_factory=Files)
    lacking: Files = field(default_factory=Files)
    minutes: Files = field(default_factory=Files)
    proved_seconds: Files = field(default_factory=Files)
    proved_lacking: Files = field(default_factory=Files)
    proved_minutes: Files = field(default_factory=Files)
    candles: Files = field(default_factory=Files)
    ticks: dict[str, Files] = field(default_factory=lambda: {stream.table: Files() for stream in TICKS})
    depth: Files = field(default_factory=Files)
    book: Files = field(default_factory=Files)

    def tables(self) -> dict[str, Files]:
        """Return the tables by their names."""
        bars = {
            "seconds": self.seconds,
            "lacking": self.lacking,
            "minutes": self.minutes,
            "proved_seconds": self.proved_seconds,
            "proved_lacking": self.proved_lacking,
            "proved_minutes": self.proved_minutes,
            "candles_1m": self.candles,
        }
        return bars | self.ticks | {"depth": self.depth, "book_1s": self.book}


def has_minutes(config: Config) -> bool:
    """Return whether minutes are made up of whole bars, so that longer bars may be made of them."""
    return not MINUTE_US % (config.transformer.resample_interval_sec * SECOND_US)


def of_days(config: Config, chosen: Chosen = EVERYTHING) -> Sources:
    """Return the files of the days chosen, by exchange, symbol and day."""
    layout = config.layout
    found = Sources()
    for where in _recorded(config, chosen):
        bars, minutes = _bars_of_days(config, *where, chosen)
        proved = {*layout.proof_days(*where)}
        for day in bars:
            seconds = layout.bar_files(*where, day)
            is_proved = day in proved and seconds == [layout.daily(*where, day)]
            (found.proved_seconds if is_proved else found.seconds).paths += seconds
            if day not in minutes:
                (found.proved_lacking if is_proved else found.lacking).paths += seconds
        for day in minutes:
            some = found.proved_minutes if day in proved else found.minutes
            some.paths.append(layout.minutes(*where, day))
        found.candles.paths += [layout.candles(*where, day) for day in chosen.of(layout.candle_days(*where))]
        for table, files in found.ticks.items():
            days = chosen.of(layout.ticks_days(*where, table))
            files.paths += [layout.ticks(*where, table, day) for day in days]
        found.depth.paths += [layout.depth(*where, day) for day in chosen.of(layout.depth_days(*where))]
        found.book.paths += [layout.book(*where, day) for day in chosen.of(layout.book_days(*where))]
    return found


def _bars_of_days(
    config: Config, exchange: str, symbol: str, chosen: Chosen
) -> tuple[list[date], list[date]]:
    """Return the days that have bars, and those whose minutes are read from files."""
    layout = config.layout
    bars = chosen.of(layout.bar_days(exchange, symbol))
    minutes = chosen.of(_minute_days(config, exchange, symbol))
    # Parts without a daily file are younger than minutes that may have been made before.
    in_parts = {day for day in bars if not layout.daily(exchange, symbol, day).is_file()}
    return bars, [day for day in minutes if day not in in_parts]


def last_day(config: Config, chosen: Chosen) -> date | None:
    """Return the newest of the days chosen that has a file of any table."""
    layout = config.layout
    days = [
        day
        for where in _recorded(config, chosen)
        for listed in (
            layout.bar_days,
            layout.minute_days,
            layout.candle_days,
            layout.ticks_days,
            layout.depth_days,
            layout.book_days,
        )
        for day in chosen.of(listed(*where))[-1:]
    ]
    return max(days, default=None)


def of_all_days(config: Config) -> Sources:
    """Return the same of all symbols and days, as few patterns; only days that have no file of their own are listed."""
    layout = config.layout
    found = Sources()
    for exchange in config.exchanges:
        name = exchange.name
        every = name, ANY_SYMBOL, _ANY
        # DuckDB takes a pattern that no file fits for a mistake.
        if any(layout.candle_days(name, symbol) for symbol in layout.candle_symbols(name)):
            found.candles.paths.append(layout.every_day(layout.candles(*every)))
        for table, files in found.ticks.items():
            if any(layout.ticks_days(name, symbol, table) for symbol in layout.ticks_symbols(name)):
                pattern = layout.every_day(layout.ticks(name, ANY_SYMBOL, table, _ANY))
                files.paths.append(pattern)
        if any(layout.depth_days(name, symbol) for symbol in layout.depth_symbols(name)):
            found.depth.paths.append(layout.every_day(layout.depth(*every)))
        if any(layout.book_days(name, symbol) for symbol in layout.book_symbols(name)):
            found.book.paths.append(layout.every_day(layout.book(*every)))
        # In this order, a day that is compacted meanwhile is found, and its minutes once.
        parts = {symbol: layout.part_days(name, symbol) for symbol in layout.bars_symbols(name)}
        daily = {symbol: layout.daily_days(name, symbol) for symbol in parts}
        minutes = {symbol: _minute_days(config, name, symbol) for symbol in layout.minute_symbols(name)}
        found.seconds.add(layout.every_day(layout.daily(*every)), _all_of(daily))
        found.minutes.add(layout.every_day(layout.minutes(*every)), _all_of(minutes))
        for symbol, days in daily.items():
            whole = minutes.get(symbol, [])
            _add_days_apart(layout, found, (name, symbol), (parts[symbol], days, whole))
            _add_proved(layout, found, (name, symbol), (days, whole))
    return found


def _all_of(by_symbol: dict[str, list[date]]) -> list[date]:
    return sorted({day for days in by_symbol.values() for day in days})


def _minute_days(config: Config, exchange: str, symbol: str) -> list[date]:
    return config.layout.minute_days(exchange, symbol) if has_minutes(config) else []


def _add_days_apart(
    layout: Layout, found: Sources, where: tuple[str, str], days: tuple[list[date], list[date], list[date]]
) -> None:
    """Add a symbol's days that have no minutes yet, and those in progress, of all that have parts, a file, minutes."""
    parts, daily, minutes = days
    proved = layout.proof_days(*where)
    for day in sorted(set(daily).difference(minutes, proved)):
        found.lacking.add(layout.daily(*where, day), [day])
        found.minutes.elsewhere.append("/".join((*where, str(day))))
    for day in sorted(set(parts).difference(daily)):
        pattern = layout.every_part(layout.part(*where, day, 0))
        for files in (found.seconds, found.lacking):
            files.add(pattern, [day])
        for files in (found.seconds, found.minutes):
            files.elsewhere.append("/".join((*where, str(day))))


def _add_proved(
    layout: Layout, found: Sources, where: tuple[str, str], days: tuple[list[date], list[date]]
) -> None:
    """Add a symbol's days with a proof, of all that have a daily file, and minutes; they have more columns.

    A proof appears after the daily file that has what it says: so this is known without a look into any.
    """
    daily, minutes = map(set, days)
    for day in daily.intersection(layout.proof_days(*where)):
        found.proved_seconds.add(layout.daily(*where, day), [day])
        if day in minutes:
            found.proved_minutes.add(layout.minutes(*where, day), [day])
        else:
            found.proved_lacking.add(layout.daily(*where, day), [day])
        for files in (found.seconds, found.minutes):
            files.elsewhere.append("/".join((*where, str(day))))


def _recorded(config: Config, chosen: Chosen) -> Iterator[tuple[str, str]]:
    """Yield every exchange and symbol that has files, of those chosen."""
    layout = config.layout
    for exchange in config.exchanges:
        name = exchange.name
        symbols = {
            *layout.bars_symbols(name),
            *layout.minute_symbols(name),
            *layout.candle_symbols(name),
            *layout.ticks_symbols(name),
            *layout.depth_symbols(name),
            *layout.book_symbols(name),
        }
        # Not by asking for its folders: on Windows they have any spelling of it.
        yield from ((name, symbol) for symbol in sorted(symbols) if chosen.symbol in {None, symbol})
