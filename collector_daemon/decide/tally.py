"""The contents of a segment, added up batch by batch, so that its `Sealed` record needs no second look. No I/O."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from crypto_lake.layout import DAY_US, day_of, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import RawLine, TradeLine
from crypto_lake.raw.offsets import KEPT, measure, smallest


def near(day: date) -> Interval:
    """Return the days among whose segments events of a day are looked for: those around it as well."""
    return day_start_us(day) - DAY_US, day_start_us(day) + 2 * DAY_US


def displaced(times: Iterable[int], around: Interval) -> list[date]:
    """Return the days of events that lie elsewhere, of each event its own."""
    begin, end = around
    return [day_of(at) for at in times if not begin <= at < end]


class Tally:
    """One symbol's lines that were received on `day`, in one window.

    `displaced` are event days far from it, and how many events each has.
    `late` are the smallest differences of receipt and event among its `trades`; `known_offset` the collector's clock
    offset, as far as all symbols tell it, None where they do not.
    """

    __slots__ = (
        "_first_id",
        "_last_id",
        "_near",
        "day",
        "displaced",
        "event_from",
        "event_to",
        "known_offset",
        "late",
        "lines",
        "recv_from",
        "recv_to",
        "trades",
    )

    def __init__(self, day: date) -> None:
        self.day = day
        self.lines = 0
        self.recv_from = 0
        self.recv_to = 0
        self.event_from: int | None = None
        self.event_to = 0
        self.displaced = Counter[date]()
        self.trades = 0
        self.late: list[int] = []
        self.known_offset: int | None = None
        self._first_id = 0
        self._last_id = 0
        self._near = near(day)

    def add(self, line: RawLine) -> None:
        """Count one line in."""
        self.add_all([line])

    def add_all(self, lines: Sequence[RawLine]) -> None:
        """Count lines in; at least one, in order of their receipt."""
        first, last = lines[0].ts_recv, lines[-1].ts_recv
        self.recv_from = min(self.recv_from, first) if self.lines else first
        self.recv_to = max(self.recv_to, last)
        self.lines += len(lines)
        trades = [line for line in lines if isinstance(line, TradeLine)]
        if trades:
            self._add_trades(trades)

    def _add_trades(self, trades: Sequence[TradeLine]) -> None:
        events, numbers = [line.ts_event for line in trades], [line.id for line in trades]
        late = [line.ts_recv - event for line, event in zip(trades, events, strict=True)]
        if len(self.late) < KEPT or min(late) < self.late[-1]:
            self.late = smallest(self.late, late)
        self.trades += len(trades)
        first, last = min(events), max(events)
        if self.event_from is None:
            self.event_from, self.event_to = first, last
            self._first_id, self._last_id = min(numbers), max(numbers)
        else:
            self.event_from, self.event_to = min(first, self.event_from), max(last, self.event_to)
            lowest, highest = min(numbers), max(numbers)
            self._first_id, self._last_id = min(lowest, self._first_id), max(highest, self._last_id)
        begin, end = self._near
        if not (begin <= first and last < end):
            self.displaced.update(displaced(events, self._near))

    def sealed(
        self,
        at: int,
        symbol: str,
        segment: str | None,
        size: int,
        listened: list[Interval],
        sha256: str | None = None,
    ) -> journal.Sealed:
        """The record of the segment that holds these lines, or of the silence."""
        traded = self.event_from is not None
        known = self.known_offset
        return journal.Sealed(
            at=at,
            symbol=symbol,
            segment=segment,
            lines=self.lines,
            size=size,
            recv_from=self.recv_from if self.lines else None,
            recv_to=self.recv_to if self.lines else None,
            event_from=self.event_from,
            event_to=self.event_to if traded else None,
            offset_us=measure(self.late, self.trades, known).us if traded else known,
            listened=listened,
            first_trade_id=self._first_id if traded else None,
            last_trade_id=self._last_id if traded else None,
            sha256=sha256,
        )
