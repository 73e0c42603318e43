"""What the streams beside `@trade` and `@bookTicker` say, and when.

Here belong the streams' names (web-socket-streams.md), how often each is sent, and what it is made of. A stretch of a
stream is a pure function of the tape, whoever listens; a name that is none says nothing. Candles and tickers are sent
on whole seconds, whether they changed or not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.binance import tickers, wire
from crypto_lake.simulator.market import aggregates, intervals
from crypto_lake.simulator.market.intervals import Interval
from crypto_lake.simulator.market.tape import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crypto_lake.simulator.market.tape import Event, Tape

# No stream of the exchange's: what a recording that is replayed lacks.
GAPS = "gap"
_SECOND_US = 1_000_000
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<ms>100|1000)ms)?")
_KLINE = re.compile(r"kline_(?P<name>\w+?)(?P<ahead>@\+08:00)?")
_AHEAD_US = 8 * 3600 * _SECOND_US
# A recorder hears some trades only after the candle's end; a candle that is called closed has them all.
_HEARD_US = 5 * _SECOND_US


class Said(NamedTuple):
    """A payload of a stream and when it is sent; `event` where it tells exactly one."""

    sent_us: int
    event: Event | None
    text: str


def said(tape: Tape, stream: str, start_us: int, end_us: int, unit_us: int) -> Iterator[Said]:
    """What a stream of one of the tape's symbols says in `[start_us, end_us)`, in order."""
    name, _, kind = stream.partition("@")
    symbol, between_us = name.upper(), (start_us, end_us)
    if name == symbol:  # names are lowercase
        return
    if depth := _DEPTH.fullmatch(kind):
        yield from _depth(tape, symbol, depth, between_us, unit_us)
    elif kind == GAPS:
        for loss in tape.losses(symbol, start_us, end_us):
            yield Said(loss.sent_us, None, wire.loss_payload(symbol, loss, unit_us))
    elif kind == "aggTrade":
        for it in aggregates.sent(tape, symbol, start_us, end_us):
            yield Said(it.sent_us, None, wire.aggregate_payload(symbol, it, unit_us))
    elif (kline := _KLINE.fullmatch(kind)) and kline["name"] in intervals.NAMES:
        yield from _candles(tape, symbol, kline, between_us, unit_us)
    elif spell := _TICKERS.get(kind):
        for now_us in _ticks(start_us, end_us, _SECOND_US):
            yield Said(now_us, None, spell(tape, symbol, now_us, unit_us))


def said_of_all(
    tape: Tape, stream: str, symbols: Sequence[str], start_us: int, end_us: int, unit_us: int
) -> Iterator[Said]:
    """What a stream such as `!miniTicker@arr` says: the symbols that traded within the second, in a list."""
    spell = _TICKERS.get(stream.removeprefix("!").removesuffix("@arr"))
    if spell is None or not stream.endswith("@arr"):
        return
    for now_us in _ticks(start_us, end_us, _SECOND_US):
        changed = [it for it in symbols if _has_traded(tape, it, now_us - _SECOND_US, now_us)]
        if changed:
            texts = [spell(tape, symbol, now_us, unit_us) for symbol in changed]
            yield Said(now_us, None, f"[{','.join(texts)}]")


def _has_traded(tape: Tape, symbol: str, start_us: int, end_us: int) -> bool:
    return tape.recent_trades(symbol, 1, start_us) != tape.recent_trades(symbol, 1, end_us)


def _depth(
    tape: Tape, symbol: str, depth: re.Match[str], between_us: tuple[int, int], unit_us: int
) -> Iterator[Said]:
    """The changes of the book, or the best of it whenever it has changed."""
    for event in tape.depth(symbol, *between_us, int(depth["ms"] or 1000) * 1000):
        if depth["levels"] is None:
            yield Said(event.sent_us, event, wire.depth_payload(symbol, event, unit_us))
        elif book := tape.book(symbol, int(depth["levels"]), event.sent_us):
            yield Said(event.sent_us, None, wire.book_payload(book))


def _candles(
    tape: Tape, symbol: str, kline: re.Match[str], between_us: tuple[int, int], unit_us: int
) -> Iterator[Said]:
    """The candle that is open, every two seconds (of a second every one), and each once it has closed."""
    interval = Interval(kline["name"], _AHEAD_US if kline["ahead"] else 0)
    every_us = _SECOND_US if interval.name == "1s" else 2 * _SECOND_US
    for now_us in _ticks(*between_us, every_us):
        spell = interval.at(now_us - 1)
        known_us = now_us + _HEARD_US if now_us == spell.close_us else now_us
        page = Page(0, spell.open_us, spell.open_us, 1)
        for _, candle in interval.candles(tape, symbol, page, known_us):
            ids = -1, -1
            if candle.trades:
                before = tape.last_trade_id(symbol, spell.open_us - 1, known_us)
                (first,) = tape.trades_from(symbol, before + 1, 1, known_us)
                ids = first.id, tape.last_trade_id(symbol, spell.close_us - 1, known_us)
            yield Said(
                now_us,
                None,
                wire.candle_payload(symbol, interval.name, now_us, (spell, candle), ids, unit_us),
            )


def _ticks(start_us: int, end_us: int, every_us: int) -> range:
    return range(-(-start_us // every_us) * every_us, end_us, every_us)


def _window(name: str) -> Callable[[Tape, str, int, int], str]:
    def spell(tape: Tape, symbol: str, now_us: int, unit_us: int) -> str:
        return tickers.window_payload(tape, symbol, name, now_us, unit_us)

    return spell


_TICKERS = {
    "ticker": tickers.ticker_payload,
    "miniTicker": tickers.mini_payload,
    "avgPrice": tickers.average_payload,
    **{f"ticker_{name}": _window(name) for name in ("1h", "4h", "1d")},
}
