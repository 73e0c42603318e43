"""What a segment holds, added up line by line, so that its `Sealed` record needs no second look. No I/O."""

from datetime import date

from collector_daemon.listening import Stretch
from crypto_lake import journal
from crypto_lake.layout import DAY_US, day_of, day_start_us
from crypto_lake.segments import RawLine


class Tally:
    """One symbol's lines that were received on `day`, in one window. `displaced` are event days far from it."""

    __slots__ = (
        "_first_id",
        "_last_id",
        "_near_from",
        "_near_to",
        "_offset",
        "day",
        "displaced",
        "event_from",
        "event_to",
        "lines",
        "recv_from",
        "recv_to",
    )

    def __init__(self, day: date) -> None:
        self.day = day
        self.lines = 0
        self.recv_from = 0
        self.recv_to = 0
        self.event_from: int | None = None
        self.event_to = 0
        self.displaced: set[date] = set()
        self._offset = 0
        self._first_id = 0
        self._last_id = 0
        self._near_from = day_start_us(day) - DAY_US
        self._near_to = day_start_us(day) + 2 * DAY_US

    def add(self, line: RawLine) -> None:
        """Count one line in."""
        recv, event = line.ts_recv, line.ts_event
        if recv >= self.recv_to:
            self.recv_to = recv
            if not self.lines:
                self.recv_from = recv
        elif recv < self.recv_from:
            self.recv_from = recv
        self.lines += 1
        if event is not None:
            self._add_trade(line.id, event, recv - event)

    def _add_trade(self, number: int, event: int, late: int) -> None:
        if self.event_from is None:
            self.event_from = self.event_to = event
            self._first_id = self._last_id = number
            self._offset = late
        else:
            if number > self._last_id:
                self._last_id = number
            elif number < self._first_id:
                self._first_id = number
            if event > self.event_to:
                self.event_to = event
            elif event < self.event_from:
                self.event_from = event
            if late < self._offset:  # noqa: PLR1730 - the hot path, where a call to min() is felt
                self._offset = late
        if not self._near_from <= event < self._near_to:
            self.displaced.add(day_of(event))

    def sealed(
        self, at: int, symbol: str, segment: str | None, size: int, listened: list[Stretch]
    ) -> journal.Sealed:
        """The record of the segment that holds these lines, or of the silence."""
        traded = self.event_from is not None
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
            offset_us=self._offset if traded else None,
            listened=listened,
            first_trade_id=self._first_id if traded else None,
            last_trade_id=self._last_id if traded else None,
        )
