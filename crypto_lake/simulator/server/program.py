"""What is to be sent of each symbol and when: made a few seconds at a time, once for all connections.

Here belongs encoding events ahead of their time, so that hundreds of symbols cost a connection no more than the bytes
it writes. A stretch of the tape is a pure function of it, so one that was forgotten is made again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.binance import streams, wire
from crypto_lake.simulator.market.tape import Trade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crypto_lake.simulator.market.tape import Event, Tape

_STRETCH_US = 4_000_000
# The one being sent, the one before for who is late, and the next, in two units of time.
_KEPT = 6


class Planned(NamedTuple):
    """An event that is to be sent; `text` is its frame's, not wrapped; `event` of those that faults may spoil."""

    sent_us: int
    stream: str
    event: Event | None
    text: str


class Program:
    """See the module. Stretches are counted from the epoch.

    Trades and quotes of a symbol are made together; each of the other streams is made where somebody listens to it.
    `trading` are the symbols that streams of all of them tell.
    """

    def __init__(
        self, tape: Tape, speed: float, trading: Callable[[], tuple[str, ...]] | None = None
    ) -> None:
        self._tape = tape
        self._trading = trading or (lambda: tape.symbols)
        self.stretch_us = int(_STRETCH_US * min(max(speed, 1.0), 5.0))
        self._made: OrderedDict[tuple[int, int], dict[str, list[Planned]]] = OrderedDict()

    def stretch_of(self, time_us: int) -> int:
        """Return which stretch holds a market time."""
        return time_us // self.stretch_us

    def planned(
        self, symbols: Iterable[str], stretch: int, unit_us: int, others: Iterable[str] = ()
    ) -> list[Planned]:
        """Everything of these symbols and other streams in a stretch, in the order it is sent."""
        made = self._stretch(stretch, unit_us)
        found: list[Planned] = []
        for symbol in symbols:
            found += self._of(symbol, made, stretch, unit_us)
        for stream in others:
            found += self._other(stream, made, stretch, unit_us)
        # Of equal times in the order of the symbols; those of one symbol are in order already.
        found.sort(key=_sent)
        return found

    def ahead(
        self, symbols: Iterable[str], stretch: int, unit_us: int, others: Iterable[str] = ()
    ) -> Iterator[None]:
        """Make a stretch symbol by symbol, and stream by stream, as one is drawn."""
        made = self._stretch(stretch, unit_us)
        for symbol in symbols:
            if symbol not in made:
                self._of(symbol, made, stretch, unit_us)
                yield
        for stream in others:
            if stream not in made:
                self._other(stream, made, stretch, unit_us)
                yield

    def _stretch(self, stretch: int, unit_us: int) -> dict[str, list[Planned]]:
        made = self._made.setdefault((stretch, unit_us), {})
        self._made.move_to_end((stretch, unit_us))
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made

    def _of(self, symbol: str, made: dict[str, list[Planned]], stretch: int, unit_us: int) -> list[Planned]:
        if symbol not in made:
            start_us = stretch * self.stretch_us
            trades, quotes = f"{symbol.lower()}@trade", f"{symbol.lower()}@bookTicker"
            made[symbol] = [
                Planned(
                    event.sent_us,
                    trades if isinstance(event, Trade) else quotes,
                    event,
                    wire.payload(symbol, event, unit_us),
                )
                for event in self._tape.events(symbol, start_us, start_us + self.stretch_us)
            ]
        return made[symbol]

    def _other(
        self, stream: str, made: dict[str, list[Planned]], stretch: int, unit_us: int
    ) -> list[Planned]:
        if stream not in made:
            start_us = stretch * self.stretch_us
            end_us = start_us + self.stretch_us
            said = (
                streams.said_of_all(self._tape, stream, self._trading(), start_us, end_us, unit_us)
                if stream.startswith("!")
                else streams.said(self._tape, stream, start_us, end_us, unit_us)
            )
            made[stream] = [Planned(one.sent_us, stream, one.event, one.text) for one in said]
        return made[stream]


def _sent(planned: Planned) -> int:
    return planned.sent_us
