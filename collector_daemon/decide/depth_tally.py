"""The contents of a segment of the order book, added up batch by batch for its `DepthSealed` record. No I/O."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from collector_daemon.decide.tally import displaced, near
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import BookLine, DepthLine


class DepthTally:
    """One symbol's lines of the book that were received on `day`, in one window. See `Tally` for `displaced`."""

    __slots__ = ("_events", "_ids", "_near", "day", "displaced", "lines", "recv_from", "recv_to", "snapshots")

    def __init__(self, day: date) -> None:
        self.day = day
        self.displaced = Counter[date]()
        self._near = near(day)
        self.lines = 0
        self.snapshots = 0
        self.recv_from = 0
        self.recv_to = 0
        self._events: Interval | None = None
        self._ids: Interval | None = None

    def add_all(self, lines: Sequence[BookLine]) -> None:
        """Count lines in; at least one."""
        events = [line for line in lines if isinstance(line, DepthLine)]
        received = [line.ts_recv for line in lines]
        self.recv_from = min([self.recv_from, *received] if self.lines else received)
        self.recv_to = max(self.recv_to, *received)
        self.lines += len(lines)
        self.snapshots += len(lines) - len(events)
        if events:
            times = [line.ts_event for line in events]
            self._events = _spanned(self._events, times)
            self.displaced.update(displaced(times, self._near))
            self._ids = _spanned(
                self._ids, [number for line in events for number in (line.first_id, line.id)]
            )

    def sealed(
        self,
        at: int,
        symbol: str,
        segment: str | None,
        size: int,
        _listened: list[Interval],
        sha256: str | None = None,
    ) -> journal.DepthSealed:
        """The record of the segment that holds these lines; when somebody listened is told with the ticks."""
        event_from, event_to = self._events or (None, None)
        first_id, last_id = self._ids or (None, None)
        return journal.DepthSealed(
            at=at,
            symbol=symbol,
            segment=segment or "",
            lines=self.lines,
            snapshots=self.snapshots,
            size=size,
            recv_from=self.recv_from,
            recv_to=self.recv_to,
            event_from=event_from,
            event_to=event_to,
            first_id=first_id,
            last_id=last_id,
            sha256=sha256 or "",
        )


def _spanned(known: Interval | None, numbers: list[int]) -> Interval:
    return min([*known[:1], *numbers] if known else numbers), max(
        [*known[1:], *numbers] if known else numbers
    )
