"""One side of a book: what is known of its levels, and which of them is the best.

A level's key is its price, negative for asks: so the best level of either side is the one with the greatest key.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

# A key and the quantity that is there now; of a change 0: nothing any more.
Level = tuple[int, int]


class Side:
    """The levels of a side. All with keys from `floor` on are known, others since they changed; None: all are.

    Keys are kept in order beside the levels: most changes are near the best one, which is the last, so to insert one
    there moves few.
    """

    __slots__ = ("_keys", "floor", "levels")

    def __init__(self, levels: Mapping[int, int], floor: int | None) -> None:
        self.levels = dict(levels)
        self.floor = floor
        self._keys = sorted(self.levels)

    @classmethod
    def of_snapshot(cls, bids: Sequence[Level], asks: Sequence[Level]) -> "tuple[Side, Side]":
        """Return both sides as a snapshot says they are.

        The exchange was asked for so many levels of each; nothing says that there are no more. Not even that one side
        has fewer: a snapshot may lack a level.
        """
        of_bids, of_asks = ({key: qty for key, qty in side if qty} for side in (bids, asks))
        return cls(of_bids, min(of_bids, default=None)), cls(of_asks, min(of_asks, default=None))

    def change(self, changes: Iterable[Level]) -> None:
        """Take over the levels that changed."""
        levels, keys = self.levels, self._keys
        for key, qty in changes:
            if qty:
                if key not in levels:
                    insort(keys, key)
                levels[key] = qty
            elif key in levels:
                del levels[key]
                del keys[bisect_left(keys, key)]

    def is_certain(self) -> bool:
        """Return whether no better level can be there; of those below the floor nobody may have told."""
        return self.floor is None or (bool(self._keys) and self._keys[-1] >= self.floor)

    def top(self) -> Level | None:
        """Return the best known level; None where there is none."""
        if not self._keys:
            return None
        key = self._keys[-1]
        return key, self.levels[key]

    def best(self, count: int) -> list[Level]:
        """Return the best known levels, best first."""
        levels = self.levels
        return [(key, levels[key]) for key in self._keys[: -count - 1 : -1]]

    def compared(self, other: "Side", but: set[int]) -> tuple[int, int]:
        """Return how many levels both sides know, and how many of them differ; without the keys `but`."""
        mine, others = self.levels, other.levels
        keys = {key for key in mine if other.floor is None or key >= other.floor}
        keys |= {key for key in others if self.floor is None or key >= self.floor}
        keys -= but
        return len(keys), sum(mine.get(key) != others.get(key) for key in keys)

    def learn(self, other: "Side") -> None:
        """Take over what another one, which does not contradict this one, knows beyond it."""
        if self.floor is not None:
            floor = self.floor
            self.change((key, qty) for key, qty in other.levels.items() if key < floor)
            self.floor = None if other.floor is None else min(floor, other.floor)
