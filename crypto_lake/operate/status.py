"""The lake at a glance: how the collector is, what there is of each symbol, how much disk is left. Reads files only."""

import shutil
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US, day_of
from crypto_lake.raw import segments
from crypto_lake.raw.collector_status import Status, SymbolStatus, read_status
from crypto_lake.showing import printable

# The file is replaced each second; a collector that has not done so for this long is not running.
_DEAD_AFTER_SEC = 5
# The longest path that a system takes, and what stands beside it.
_LONGEST = 5000


def show(config: Config, now_us: int | None = None) -> None:
    """Print it."""
    now = clock.now_us(config) if now_us is None else now_us
    console = Console()
    try:
        found = read_status(config.layout.collector_status)
        headline = printable(_headline(found, now, config.clock.speed))
    except LakeError as error:
        # What the lake holds is told all the same; the next start of a collector writes the file anew.
        found, headline = None, f"its status file cannot be understood: {error}"
    console.print(f"Collector: {headline}", highlight=False, markup=False, soft_wrap=True)
    if found:
        console.print(_symbols(found, now))
    console.print(_holdings(config, now))
    console.print(
        printable(_disk(config.layout.base), _LONGEST), highlight=False, markup=False, soft_wrap=True
    )


def _headline(found: Status | None, now: int, speed: float) -> str:
    if found is None:
        return "has never run on this lake"
    age = (now - found.updated) // SECOND_US
    if found.state == "stopped":
        return f"stopped {_ago(age)}: {found.reason}"
    if age > _DEAD_AFTER_SEC * speed:
        return f"DEAD: process {found.pid} last gave a sign {_ago(age)}, while {found.state}"
    troubles = [exchange.trouble for exchange in found.exchanges if exchange.trouble]
    return f"{found.state}, process {found.pid}, up {_ago((now - found.started) // SECOND_US, '')}" + "".join(
        f"; {trouble}" for trouble in troubles
    )


def _ago(seconds: int, suffix: str = " ago") -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    text = (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {seconds % 60} s"
        if minutes
        else f"{seconds} s"
    )
    return text + suffix


def _symbols(found: Status, now: int) -> Table:
    table = Table(
        "symbol",
        "trades",
        "quotes",
        "last frame",
        "p50",
        "p99",
        "max",
        "offset",
        "holes",
        title="Live; latencies in ms",
    )
    table.columns[0].no_wrap = True
    for exchange in found.exchanges:
        for one in exchange.symbols:
            table.add_row(*_symbol(one, now))
    return table


def _symbol(one: SymbolStatus, now: int) -> list[str]:
    last = "never" if one.last_frame is None else _ago(max(0, now - one.last_frame) // SECOND_US, "")
    latencies = (one.latency_p50_us, one.latency_p99_us, one.latency_max_us, one.offset_us)
    milliseconds = ["–" if us is None else f"{us / 1000:.1f}" for us in latencies]
    holes = f"{one.gaps} ({one.missing} trades)" if one.gaps else "0"
    return [one.symbol, f"{one.trades:,}", f"{one.quotes:,}", last, *milliseconds, holes]


def _holdings(config: Config, now: int) -> Table:
    today = day_of(now)
    table = Table(
        "symbol",
        "raw",
        "segments today",
        "bars",
        "in parts",
        "daily files",
        "candles",
        title="Lake; in days",
    )
    layout = config.layout
    for exchange in config.exchanges:
        name = exchange.name
        symbols = {*exchange.symbols, *layout.raw_symbols(name), *layout.bars_symbols(name)}
        for symbol in sorted(symbols):
            counts = (
                len(segments.days(layout, name, symbol)),
                len(segments.sealed(layout.raw_day(name, symbol, today))),
                len(layout.bar_days(name, symbol)),
                len(layout.part_days(name, symbol)),
                len(layout.daily_days(name, symbol)),
                len(layout.candle_days(name, symbol)),
            )
            table.add_row(symbol, *(f"{count:,}" for count in counts))
    return table


def _disk(base: Path) -> str:
    if not base.exists():
        return f"Lake: {base} (not there yet)"
    free = shutil.disk_usage(base).free
    return f"Lake: {base}, {free / 1e9:,.1f} GB free on its disk"
