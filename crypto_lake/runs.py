"""What the commands start: which days a run is about, the run itself (by Dagster, in this process), what came of it."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from loguru import logger
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from crypto_lake import bars, parquet, publish, views
from crypto_lake.bars import Series
from crypto_lake.config import Config
from crypto_lake.defs import launch
from crypto_lake.errors import UnknownSymbolError
from crypto_lake.exchanges import known
from crypto_lake.layout import DAY_US, day_start_us

# Values that a day hands on may make the next day stale, and so on; without any trade that ends at the next one.
_MOST_ROUNDS = 400
_WIDE = 140


def now_us() -> int:
    """The wall clock, in microseconds UTC."""
    return int(datetime.now(UTC).timestamp() * 1e6)


def transform(config: Config, days: list[date] | None) -> list[date]:
    """Make the bars of some days; None: of every day that is not in line with its segments. Those worked on."""
    if days is not None:
        with _progress("bars", len(days)):
            launch.execute("make_bars", days)
        return days
    done: list[date] = []
    for _ in range(_MOST_ROUNDS):
        stale = [day for day in stale_days(config) if day not in done]
        if not stale:
            break
        with _progress("bars", len(stale)):
            launch.execute("make_bars", stale)
        done += stale
    return sorted(done)


def stale_days(config: Config) -> list[date]:
    """Every day whose bars are not in line with what was received."""
    with parquet.connect() as connection:
        return sorted(
            {
                day
                for series in Series.recorded(config)
                for day in bars.stale_days(
                    connection, series, series.layout.raw_days(series.exchange, series.symbol), now_us()
                )
            }
        )


def compact(config: Config, days: list[date] | None) -> list[date]:
    """Make the daily files of some days; None: of every finished day that lies in parts. Those worked on."""
    if days is None:
        waiting = {
            day
            for series in Series.recorded(config)
            for day in series.layout.part_days(series.exchange, series.symbol)
        }
        days = sorted(day for day in waiting if day_start_us(day) + DAY_US <= now_us())
    if days:
        with _progress("daily files", len(days)):
            launch.execute("compact", days)
    return days


def validate(config: Config, days: list[date]) -> list[dg.AssetCheckEvaluation]:
    """Check those of the days that have bars, and leave the verdicts in `logs/validation/`."""
    recorded = {
        day
        for series in Series.recorded(config)
        for day in series.layout.bar_days(series.exchange, series.symbol)
    }
    verdicts = launch.execute("validate", [day for day in days if day in recorded])
    for day in sorted({verdict.partition for verdict in verdicts if verdict.partition}):
        report = [_as_json(verdict) for verdict in verdicts if verdict.partition == day]
        path = config.layout.validation(date.fromisoformat(day))
        publish.write(path, (parquet.canonical({"day": day, "checks": report}) + "\n").encode())
    return verdicts


def backfill(config: Config, days: list[date]) -> None:
    """Fetch the candles of some days, once it is clear that the exchange is there and knows the symbols."""
    asyncio.run(_ask_for_symbols(config))
    with _progress("candles", len(days)):
        launch.execute("backfill_candles", days)


async def _ask_for_symbols(config: Config) -> None:
    for exchange in config.exchanges:
        client = known.rest_client(exchange.name, exchange.rest_url)
        try:
            listed = await client.tradable_symbols()
        finally:
            await client.aclose()
        if unknown := [symbol for symbol in exchange.symbols if symbol not in listed]:
            raise UnknownSymbolError(
                f"{exchange.name} does not list {', '.join(unknown)}; see exchanges[].symbols"
            )


@contextmanager
def _progress(what: str, days: int) -> Iterator[None]:
    """A bar on a terminal, advanced by what runs log of each day; elsewhere the log lines speak for themselves."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal or days == 1:
        yield
        return
    with Progress(console=terminal, transient=True) as progress:
        task = progress.add_task(what, total=days)
        sink = logger.add(
            lambda _: progress.advance(task), filter=lambda record: "day_done" in record["extra"]
        )
        try:
            yield
        finally:
            logger.remove(sink)


def _as_json(verdict: dg.AssetCheckEvaluation) -> dict[str, Any]:
    metadata = {name: value.value for name, value in verdict.metadata.items()}
    return {
        "asset": verdict.asset_key.to_user_string(),
        "check": verdict.check_name,
        "passed": verdict.passed,
        "severity": verdict.severity.value,
        "metadata": metadata,
    }


def console() -> Console:
    """Standard output; where that is no terminal, wide enough for whole rows."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def report_days(config: Config, days: list[date]) -> None:
    """Print what the days hold now."""
    page = console()
    if not days:
        page.print("Nothing to do: everything is in line with the segments there are.")
        return
    table = Table("day", "symbol", *(["bars", "trades", "quotes", "unobserved s", "bytes"]), title="Bars")
    with parquet.connect() as connection:
        for day in days:
            for row in views.day_in_numbers(connection, config, day):
                numbers = [row[name] for name in ("rows", "trades", "quotes", "unobserved", "bytes")]
                table.add_row(str(day), row["symbol"], *(f"{number:,}" for number in numbers))
    if table.row_count:
        page.print(table)
    else:
        page.print(f"Nothing was recorded on {days[0]}" + (f" to {days[-1]}." if len(days) > 1 else "."))


def report_verdicts(config: Config, verdicts: list[dg.AssetCheckEvaluation]) -> int:
    """Print the verdicts; how many of severity ERROR did not pass is returned."""
    page = console()
    table = Table("day", "asset", "check", "verdict", "offending rows", title="Checks")
    outcomes = Counter(verdict_word(verdict) for verdict in verdicts)
    for verdict in sorted(
        verdicts, key=lambda v: (v.partition or "", v.asset_key.to_user_string(), v.check_name)
    ):
        offending = verdict.metadata["offending_rows"].value
        table.add_row(
            verdict.partition,
            verdict.asset_key.to_user_string(),
            verdict.check_name,
            verdict_word(verdict),
            str(offending),
        )
    if verdicts:
        page.print(table)
        page.print(
            f"The first offending rows: {config.layout.logs / 'validation'}", highlight=False, soft_wrap=True
        )
    else:
        page.print("No bars on these days: nothing to check.")
    return outcomes["failed"]


def verdict_word(verdict: dg.AssetCheckEvaluation) -> str:
    """passed, warning or failed."""
    if verdict.passed:
        return "passed"
    return "warning" if verdict.severity == dg.AssetCheckSeverity.WARN else "failed"
