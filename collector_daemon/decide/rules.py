"""The ids that were seen before, by the rule that the ids of a stream follow. No I/O.

Ids are those of one symbol over all connections: whichever delivers first wins, the others' copies are duplicates.
"""

from collections.abc import Callable
from typing import Any, Protocol

from collector_daemon.decide.chained_ids import ChainedIds
from collector_daemon.decide.ids import REMEMBER_MOST, ContiguousIds, Hole, Odd
from collector_daemon.decide.rising_ids import RisingIds
from collector_daemon.decide.skipping_ids import SkippingIds
from crypto_lake.raw.lines import IdRule


class Ids(Protocol):
    """The questions of a session to the ids of one stream of one symbol, whatever their rule."""

    def accept(self, line: Any) -> bool:  # noqa: ANN401 - a line of the stream
        """Return whether to keep a line."""

    def tick(self, monotonic: float, most: int = REMEMBER_MOST) -> int:
        """Time passes. At most so many contents are to be remembered beyond the newest; how many are is returned."""

    def settle(self, monotonic: float) -> None:
        """A connection begins that may be ahead of others."""

    def reset(self) -> None:
        """Nobody was connected."""

    def overdue(self, monotonic: float, grace: float) -> list[Hole]:
        """The holes that have stayed open for `grace` seconds; each only once."""


# Of a symbol, by the stream's word; what is odd goes to the list.
RULES: dict[IdRule, Callable[[str, str, list[Odd]], Ids]] = {
    "contiguous": ContiguousIds,
    "rising": RisingIds,
    "skipping": SkippingIds,
    "chained": lambda _symbol, _word, _told: ChainedIds(),
}
