"""The chain of a symbol's events, and the book that is carried along it from one snapshot to the next.

The rules are those of the exchange (binance-spot-api-docs, web-socket-streams.md, "How to manage a local order book
correctly"): an event carries a snapshot on if its ids begin at most one above the snapshot's and end above it; one
whose ids begin later than one above the event before leaves a hole, which nothing fills. Where an event is missing the
book is not known until a snapshot.

Snapshots and events are given in order of their ids (a snapshot after the events with an id of at most its own).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from crypto_lake.book.side import Level, Side

# Of more, the first ones are told. Whoever asks for a book needs the snapshots.
_MOST_BREAKS, _MOST_ANCHORS = 1_000, 10_000
# Of snapshots that come without an event between them, the last ones are of use.
_MOST_PENDING = 8


class Break(Struct, frozen=True):
    """A hole in the chain: ids between `after_id` and `first_id` are missing. `ts_event` of the event after it, µs."""

    after_id: int
    first_id: int
    ts_event: int


class Anchor(Struct, frozen=True):
    """A snapshot and its use: the book `began` with it, or was held against it and was `equal` or `differs`.

    It is `unused` where no event carries on from it (it is too old), or what the book was at its id is not known.
    """

    id: int
    ts_recv: int
    use: Literal["began", "equal", "differs", "unused"]
    levels_compared: int = 0
    levels_different: int = 0


class Snapshot(NamedTuple):
    """The levels of a book at an id. `ts_recv` in µs."""

    id: int
    ts_recv: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class Carried(NamedTuple):
    """The end of a chain: the id of its last event, and the sides of the book there, where they are known."""

    id: int
    sides: tuple[Side, Side] | None


class Chain:
    """A book, while it is carried along. `sides` (bids, asks) is None where it is not known.

    `last_id` is that of the last event. What happened is counted, and the first of each kind are listed.
    """

    def __init__(self, carried: Carried | None = None) -> None:
        self.last_id = carried.id if carried else None
        self.sides = carried.sides if carried else None
        self.breaks: list[Break] = []
        self.break_count = 0
        self.anchors: list[Anchor] = []
        self.anchor_counts = {"began": 0, "equal": 0, "differs": 0, "unused": 0}
        self.levels_compared = 0
        self.levels_different = 0
        self._pending: list[Snapshot] = []

    def is_followed(self, first_id: int) -> bool:
        """Return whether nothing is missing before an event whose ids begin with this one."""
        return self.last_id is None or first_id <= self.last_id + 1

    def event(
        self, ids: tuple[int, int], ts_event: int, bids: Sequence[Level], asks: Sequence[Level]
    ) -> bool:
        """Take over an event; return whether the book is known at its end. `ids` are its first and its last."""
        first_id, last_id = ids
        before = self.last_id
        if before is not None:
            if last_id <= before:
                return False
            if not self.is_followed(first_id):
                self._tell_break(Break(before, first_id, ts_event))
                self.sides = None
        if self._pending:
            self._settle(first_id, ({key for key, _ in bids}, {key for key, _ in asks}))
        self.last_id = last_id
        if self.sides is None:
            return False
        self.sides[0].change(bids)
        self.sides[1].change(asks)
        return True

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take over a snapshot. Its id may lie within the next event's, so it is judged together with that one."""
        if self.last_id is not None and snapshot.id < self.last_id:
            self._tell(snapshot, "unused")
        elif self.sides is not None and snapshot.id == self.last_id:
            self._compare(snapshot, self.sides, (set(), set()))
        else:
            self._pending.append(snapshot)
            if len(self._pending) > _MOST_PENDING:
                self._tell(self._pending.pop(0), "unused")

    def finish(self) -> Carried | None:
        """Return the end of the chain, of which nothing more comes; None where there was no event."""
        for one in self._pending:
            self._tell(one, "unused")
        self._pending.clear()
        return None if self.last_id is None else Carried(self.last_id, self.sides)

    def _settle(self, first_id: int, touched: tuple[set[int], set[int]]) -> None:
        """Use the snapshots before an event, of which its first id and the levels that it changes are given."""
        for one in self._pending:
            if first_id > one.id + 1:
                self._tell(one, "unused")
            elif self.sides is None:
                self.sides = Side.of_snapshot(one.bids, one.asks)
                self._tell(one, "began")
            else:
                # Whether the snapshot already has what the event changes cannot be told where its id lies within.
                self._compare(one, self.sides, touched)
        self._pending.clear()

    def _compare(
        self, snapshot: Snapshot, sides: tuple[Side, Side], touched: tuple[set[int], set[int]]
    ) -> None:
        others = Side.of_snapshot(snapshot.bids, snapshot.asks)
        found = [mine.compared(other, but) for mine, other, but in zip(sides, others, touched, strict=True)]
        compared, different = (sum(counts) for counts in zip(*found, strict=True))
        self.levels_compared += compared
        self.levels_different += different
        self._tell(snapshot, "differs" if different else "equal", compared, different)
        # The chain is whole, so it is believed, and a snapshot that contradicts it is not.
        if not different:
            for mine, other in zip(sides, others, strict=True):
                mine.learn(other)

    def _tell(
        self,
        snapshot: Snapshot,
        use: Literal["began", "equal", "differs", "unused"],
        compared: int = 0,
        different: int = 0,
    ) -> None:
        self.anchor_counts[use] += 1
        if len(self.anchors) < _MOST_ANCHORS:
            self.anchors.append(Anchor(snapshot.id, snapshot.ts_recv, use, compared, different))

    def _tell_break(self, one: Break) -> None:
        self.break_count += 1
        if len(self.breaks) < _MOST_BREAKS:
            self.breaks.append(one)
