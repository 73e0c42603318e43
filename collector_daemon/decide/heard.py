"""The stretches that symbols of one group share, although each of them is cut at a time of its own. No I/O.

A `Listening` gives each stretch once. What it gave since all symbols were cut together is kept here, and a symbol gets
of it what was not there when it was cut last. All times are µs UTC of the local clock.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from collector_daemon.decide.listening import Listening
from crypto_lake.raw.intervals import Interval, union, without

_NOTHING: Sequence[Interval] = ()


class Heard:
    """See the module."""

    def __init__(self) -> None:
        self._given: dict[Listening, Sequence[Interval]] = {}

    def of(self, listening: Listening) -> Sequence[Interval]:
        """Return what is known by now; it is never changed afterwards, so a symbol may keep it."""
        return self._given.get(listening, _NOTHING)

    def take(self, listenings: Iterable[Listening], border: int) -> None:
        """Take over what was heard up to `border`."""
        for listening in listenings:
            self._add(listening, listening.take(border))

    def step(self, listenings: Iterable[Listening], at: int) -> None:
        """Take over all that was heard before the local clock was set to `at`."""
        for listening in listenings:
            self._add(listening, listening.step(at))

    def since(self, listening: Listening, known: Sequence[Interval]) -> list[Interval]:
        """Return what has come since `known` was all there was."""
        given = self.of(listening)
        if given is known:
            return []
        return [piece for start, end in given for piece in without(known, start, end)]

    def forget(self) -> None:
        """Each symbol has been given all of it."""
        self._given.clear()

    def keep(self, listenings: AbstractSet[Listening]) -> None:
        """Forget those that nobody belongs to any more."""
        self._given = {one: given for one, given in self._given.items() if one in listenings}

    def _add(self, listening: Listening, found: list[Interval]) -> None:
        if found:
            self._given[listening] = union([*self.of(listening), *found])
