"""The lake at a glance: how the collector is, what there is of each symbol, how much disk is left. Reads files only.

Of many symbols the worst are shown, and totals of all: those of which trades are missing, then those that have been
silent for longest.
"""

import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crypto_lake import clock, patterns, universe
from crypto_lake.config import Config, Exchange
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US, Layout, day_of
from crypto_lake.operate import stored
from crypto_lake.raw import segments
from crypto_lake.raw.collector_status import Status, SymbolStatus, read_status
from crypto_lake.showing import printable

# The file is replaced each second; a collector that has not done so for this long is not running.
_DEAD_AFTER_SEC = 5
# The longest path that a system takes, and what stands beside it.
_LONGEST = 5000
# As many as a person looks through, and a terminal shows with what stands around them.
_SHOWN = 20


def show(
    config: Config, now_us: int | None = None, *, symbol: str = patterns.ALL, everything: bool = False
) -> None:
    """Print it: of the symbols that `symbol`, a name or a pattern, means; of no more than a screen has room for.

    `everything`: of all of them.
    """
    now = clock.now_us(config) if now_us is None else now_us
    console = Console()
    live: list[SymbolStatus] = []
    for recorder in _recorders(config.layout):
        live += _show_collector(console, config, recorder, now, (symbol, everything))
    if config.store is None:
        for exchange in config.exchanges:
            names = _here(config, exchange, symbol, live)
            _show_holdings(console, config, exchange.name, names, now, everything)
    else:
        stored.show(console, config, symbol, everything=everything)
    console.print(
        printable(_disk(config.layout.base), _LONGEST), highlight=False, markup=False, soft_wrap=True
    )


def _recorders(layout: Layout) -> list[str]:
    """Those whose collectors have run on this lake; if there are none, the one without a name has not."""
    there = [name for name in layout.status_recorders() if layout.of(name).collector_status.exists()]
    return there or [""]


def _show_collector(
    console: Console, config: Config, recorder: str, now: int, wanted: tuple[str, bool]
) -> list[SymbolStatus]:
    """Print how one collector is, and those of its symbols that are wanted, which are returned."""
    symbol, everything = wanted
    try:
        found = read_status(config.layout.of(recorder).collector_status)
        headline = printable(_headline(found, now, config.clock.speed))
    except LakeError as error:
        # What the lake holds is told all the same; the next start of a collector writes the file anew.
        found, headline = None, f"its status file cannot be understood: {error}"
    name = f"Collector {recorder}" if recorder else "Collector"
    console.print(f"{name}: {headline}", highlight=False, markup=False, soft_wrap=True)
    live = _worst_first(found, symbol) if found else []
    most = len(live) if everything else _SHOWN
    if live:
        console.print(_symbols(live, now, most))
        _tell_rest(console, len(live) - most)
    if books := [one for one in live if one.depth is not None]:
        console.print(_books(books, now, most))
        _tell_rest(console, len(books) - most)
    return live


def _tell_rest(console: Console, more: int) -> None:
    if more > 0:
        console.print(f"… and {more:,} more: --all shows them, --symbol PATTERN some", highlight=False)


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


def _worst_first(found: Status, symbol: str) -> list[SymbolStatus]:
    """Return the symbols that are recorded and meant: who misses trades first, then who has been silent for longest."""
    live = [one for exchange in found.exchanges for one in exchange.symbols]
    meant = patterns.matching(symbol, {one.symbol for one in live})
    return sorted(
        (one for one in live if one.symbol in meant),
        key=lambda one: (-one.missing, one.last_frame or 0, one.symbol),
    )


def _symbols(live: list[SymbolStatus], now: int, most: int) -> Table:
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
    for one in live[:most]:
        table.add_row(*_symbol(one, now))
    if len(live) > 1:
        table.add_section()
        table.add_row(*_total(live, now))
    return table


def _books(live: list[SymbolStatus], now: int, most: int) -> Table:
    """Return what there is of order books, those whose chains broke most first."""
    table = Table("symbol", "events", "breaks", "last snapshot", title="Order books")
    table.columns[0].no_wrap = True
    for one in sorted(live, key=lambda one: -(one.book_breaks or 0))[:most]:
        counts = (one.depth or 0, one.book_breaks or 0)
        table.add_row(one.symbol, *(f"{count:,}" for count in counts), _silence(one.last_anchor, now))
    return table


def _symbol(one: SymbolStatus, now: int) -> list[str]:
    latencies = (one.latency_p50_us, one.latency_p99_us, one.latency_max_us, one.offset_us)
    counts = [one.symbol, f"{one.trades:,}", f"{one.quotes:,}", _silence(one.last_frame, now)]
    return [*counts, *map(_ms, latencies), _holes(one.gaps, one.missing)]


def _total(live: list[SymbolStatus], now: int) -> list[str]:
    trades, quotes = (sum(getattr(one, name) for one in live) for name in ("trades", "quotes"))
    newest = max((one.last_frame for one in live if one.last_frame is not None), default=None)
    slowest = max((one.latency_max_us for one in live if one.latency_max_us is not None), default=None)
    counts = [f"{len(live):,} symbols", f"{trades:,}", f"{quotes:,}", _silence(newest, now)]
    holes = _holes(sum(one.gaps for one in live), sum(one.missing for one in live))
    return [*counts, "", "", _ms(slowest), "", holes]


def _silence(last_frame: int | None, now: int) -> str:
    return "never" if last_frame is None else _ago(max(0, now - last_frame) // SECOND_US, "")


def _ms(us: int | None) -> str:
    return "–" if us is None else f"{us / 1000:.1f}"


def _holes(holes: int, missing: int) -> str:
    return f"{holes:,} ({missing:,} trades)" if holes else "0"


def _here(config: Config, exchange: Exchange, symbol: str, live: Iterable[SymbolStatus]) -> list[str]:
    """Return the symbols of which there is something, or is to be: those that are live as they are shown above."""
    layout, name = config.layout, exchange.name
    there = {*universe.meant(layout, exchange), *layout.raw_symbols(name), *layout.bars_symbols(name)}
    meant = there if symbol == patterns.ALL else patterns.matching(symbol, there)
    first = [one.symbol for one in live if one.symbol in meant]
    return list(dict.fromkeys([*first, *sorted(meant)]))


def _show_holdings(
    console: Console, config: Config, exchange: str, symbols: list[str], now: int, everything: bool
) -> None:
    table = Table(
        "symbol",
        "raw",
        "segments today",
        "bars",
        "in parts",
        "daily files",
        "candles",
        title=f"Lake; in days{'' if len(config.exchanges) == 1 else f', {exchange}'}",
    )
    most = len(symbols) if everything else _SHOWN
    for symbol in symbols[:most]:
        table.add_row(
            symbol, *(f"{count:,}" for count in _holding(config.layout, exchange, symbol, day_of(now)))
        )
    console.print(table)
    _tell_rest(console, len(symbols) - most)
    if len(symbols) > 1:
        layout = config.layout
        raw, bars, candles = (
            len({*symbols} & {*listing(exchange)})
            for listing in (layout.raw_symbols, layout.bars_symbols, layout.candle_symbols)
        )
        console.print(
            f"{len(symbols):,} symbols of {exchange}: {raw:,} have raw files, {bars:,} bars, {candles:,} candles",
            highlight=False,
        )


def _holding(layout: Layout, exchange: str, symbol: str, today: date) -> tuple[int, ...]:
    return (
        len(segments.days(layout, exchange, symbol)),
        len(segments.sealed(layout.raw_day(exchange, symbol, today))),
        len(layout.bar_days(exchange, symbol)),
        len(layout.part_days(exchange, symbol)),
        len(layout.daily_days(exchange, symbol)),
        len(layout.candle_days(exchange, symbol)),
    )


def _disk(base: Path) -> str:
    if not base.exists():
        return f"Lake: {base} (not there yet)"
    free = shutil.disk_usage(base).free
    return f"Lake: {base}, {free / 1e9:,.1f} GB free on its disk"
