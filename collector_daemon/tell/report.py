"""The recorders' knowledge as people want it: the status of this second, a line for each symbol each minute."""

import os
from typing import TYPE_CHECKING

from loguru import logger

from collector_daemon.recorder import Recorder
from collector_daemon.version import VERSION
from crypto_lake.layout import iso
from crypto_lake.raw.collector_status import ExchangeStatus, State, Status, SymbolStatus
from crypto_lake.raw.lines import QUOTE, TRADE
from crypto_lake.showing import address

if TYPE_CHECKING:
    from collector_daemon.decide.latency import Spread

_WORST_FIRST: tuple[State, ...] = ("disk trouble", "connecting", "listening")


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
        """Log a line for each symbol, and begin a new minute of latencies."""
        for recorder in self._recorders:
            for symbol in recorder.session.symbols:
                self._minute_of(recorder, symbol)

    def _minute_of(self, recorder: Recorder, symbol: str) -> None:
        state, key = recorder.session.symbols[symbol], (recorder.exchange.name, symbol)
        trades, quotes, gaps = self._before.get(key, (0, 0, 0))
        now = self._before[key] = state.of(TRADE).kept, state.of(QUOTE).kept, state.gaps
        spread = self._spreads[key] = state.latency.spread()
        state.latency.clear()
        new_trades, new_quotes, new_gaps = now[0] - trades, now[1] - quotes, now[2] - gaps
        logger.log(
            "WARNING" if new_gaps else "INFO",
            "{} {}: {} messages, {} trades, {} quotes, {} holes, latency ms p50 {} p99 {} max {}, "
            "{} kB waiting, clock offset ms {}",
            *key,
            new_trades + new_quotes,
            new_trades,
            new_quotes,
            new_gaps,
            *[_ms(us) for us in (spread[1:] if spread else (None, None, None))],
            recorder.landing.held >> 10,
            _ms(spread.smallest if spread else None),
        )

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
        )


def _state(recorder: Recorder) -> State:
    if recorder.writer.trouble:
        return "disk trouble"
    return "listening" if recorder.connected_since is not None else "connecting"


def _ms(us: int | None) -> str:
    return "-" if us is None else f"{us / 1000:.1f}"
