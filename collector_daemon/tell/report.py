"""The recorders' knowledge as people want it: the status of this second, and some lines of the log each minute."""

import os
from typing import TYPE_CHECKING, NamedTuple

from loguru import logger

from collector_daemon.recorder import Recorder
from collector_daemon.version import VERSION
from crypto_lake.layout import iso
from crypto_lake.raw.collector_status import ExchangeStatus, State, Status, SymbolStatus
from crypto_lake.raw.lines import DEPTH, QUOTE, TRADE
from crypto_lake.showing import address

if TYPE_CHECKING:
    from collector_daemon.decide.latency import Spread

_WORST_FIRST: tuple[State, ...] = ("disk trouble", "connecting", "listening")
# Of so many symbols each has a line a minute in the log.
_EACH = 20


class _Minute(NamedTuple):
    """A symbol's last minute."""

    symbol: str
    trades: int
    quotes: int
    holes: int
    spread: "Spread | None"


class Reporter:
    """Speaks for all recorders of one daemon. `started` is µs UTC."""

    def __init__(self, recorders: list[Recorder], started: int) -> None:
        self._recorders = recorders
        self._started = started
        self._spreads: dict[tuple[str, str], Spread | None] = {}
        self._before: dict[tuple[str, str], tuple[int, int, int]] = {}

    def status(self, now: int, reason: str | None = None) -> Status:
        """The status at `now` (µs UTC); with a `reason`, that of a collector that has stopped."""
        exchanges = [self._exchange(recorder, stopped=reason is not None) for recorder in self._recorders]
        states = {exchange.state for exchange in exchanges}
        worst: State = next((state for state in _WORST_FIRST if state in states), "stopped")
        return Status(
            pid=os.getpid(),
            version=VERSION,
            state="stopped" if reason is not None else worst,
            reason=reason,
            started=self._started,
            updated=now,
            updated_iso=iso(now),
            exchanges=exchanges,
        )

    def minute(self) -> None:
        """Log a line for each symbol, or, of many, one of all and of those that miss trades; begin a new minute."""
        for recorder in self._recorders:
            counted = [self._count(recorder, symbol) for symbol in recorder.session.symbols]
            worst = sorted((one for one in counted if one.holes), key=lambda one: -one.holes)
            for one in counted if len(counted) <= _EACH else worst[:_EACH]:
                _tell_one(recorder, one)
            if len(counted) > _EACH:
                _tell_all(recorder, counted)
        self._forget_others()

    def _count(self, recorder: Recorder, symbol: str) -> _Minute:
        state, key = recorder.session.symbols[symbol], (recorder.exchange.name, symbol)
        trades, quotes, gaps = self._before.get(key, (0, 0, 0))
        now = self._before[key] = state.of(TRADE).kept, state.of(QUOTE).kept, state.gaps
        spread = self._spreads[key] = state.latency.spread()
        state.latency.clear()
        return _Minute(symbol, now[0] - trades, now[1] - quotes, now[2] - gaps, spread)

    def _forget_others(self) -> None:
        """Forget symbols that are recorded no more: one that comes back counts from the beginning."""
        recorded = {(one.exchange.name, symbol) for one in self._recorders for symbol in one.session.symbols}
        for key in self._before.keys() - recorded:
            del self._before[key], self._spreads[key]

    def _exchange(self, recorder: Recorder, *, stopped: bool) -> ExchangeStatus:
        intake, writer = recorder.intake, recorder.writer
        return ExchangeStatus(
            name=recorder.exchange.name,
            url=address(recorder.exchange.wss_url),
            state="stopped" if stopped else _state(recorder),
            connection=intake.connection,
            connected_since=recorder.connected_since,
            live=recorder.live,
            last_frame=recorder.last_frame,
            last_end=intake.last_end,
            rejected=recorder.session.rejected,
            held_bytes=recorder.landing.held,
            trouble=writer.trouble,
            symbols=[self._symbol(recorder, symbol) for symbol in recorder.session.symbols],
        )

    def _symbol(self, recorder: Recorder, symbol: str) -> SymbolStatus:
        state, key = recorder.session.symbols[symbol], (recorder.exchange.name, symbol)
        spread = self._spreads[key] if key in self._spreads else state.latency.spread()
        depth = state.streams.get(DEPTH.line)
        return SymbolStatus(
            symbol=symbol,
            trades=state.of(TRADE).kept,
            quotes=state.of(QUOTE).kept,
            last_trade_event=state.of(TRADE).last_event,
            last_frame=state.last_frame,
            latency_p50_us=spread.p50 if spread else None,
            latency_p99_us=spread.p99 if spread else None,
            latency_max_us=spread.largest if spread else None,
            offset_us=spread.smallest if spread else None,
            gaps=state.gaps,
            missing=state.missing,
            duplicates=state.duplicates,
            pending_bytes=recorder.landing.pending(symbol),
            segments_sealed=recorder.disk.sealed.get(symbol, 0),
            current_segment=recorder.disk.open_name(symbol),
            depth=depth.kept if depth else None,
            book_breaks=state.breaks if depth else None,
            last_anchor=state.anchored,
        )


def _tell_one(recorder: Recorder, one: _Minute) -> None:
    logger.log(
        "WARNING" if one.holes else "INFO",
        "{} {}: {} messages, {} trades, {} quotes, {} holes, latency ms p50 {} p99 {} max {}, "
        "{} kB waiting, clock offset ms {}",
        recorder.exchange.name,
        one.symbol,
        one.trades + one.quotes,
        one.trades,
        one.quotes,
        one.holes,
        *[_ms(us) for us in (one.spread[1:] if one.spread else (None, None, None))],
        recorder.landing.held >> 10,
        _ms(one.spread.smallest if one.spread else None),
    )


def _tell_all(recorder: Recorder, counted: list[_Minute]) -> None:
    trades, quotes, holes = (
        sum(getattr(one, name) for one in counted) for name in ("trades", "quotes", "holes")
    )
    logger.info(
        "{}, {} symbols: {} messages, {} trades, {} quotes, {} holes, latency ms max {}, {} kB waiting; {} were silent",
        recorder.exchange.name,
        len(counted),
        trades + quotes,
        trades,
        quotes,
        holes,
        _ms(max((one.spread.largest for one in counted if one.spread), default=None)),
        recorder.landing.held >> 10,
        sum(not one.trades + one.quotes for one in counted),
    )


def _state(recorder: Recorder) -> State:
    if recorder.writer.trouble:
        return "disk trouble"
    # One whose share of the symbols is nothing waits for symbols, and not for the exchange.
    is_idle = not recorder.exchange.symbols
    return "listening" if is_idle or recorder.connected_since is not None else "connecting"


def _ms(us: int | None) -> str:
    return "-" if us is None else f"{us / 1000:.1f}"
