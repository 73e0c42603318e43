"""One connection's state from its opening to its end: `(what happened, now) -> what follows from it`. No I/O.

Here belongs whether the exchange confirmed the streams, whether data comes, and why the connection is to end; sockets
and waiting belong to the link. All `now` are monotonic seconds.
"""

from enum import Enum, auto
from typing import NamedTuple

CONFIRM_SEC = 10.0
# A connection that was confirmed so long ago and has brought nothing delivers silence.
QUIET_SEC = 10.0


class Change(Enum):
    """An event of a connection: what has become true of it."""

    # The exchange has answered all that was asked of it.
    SETTLED = auto()
    # The exchange confirmed the streams, or sent the first data of one: from here on somebody listens.
    SUBSCRIBED = auto()
    # Market data comes, or there is none to come.
    DELIVERS = auto()
    # The end is near: it is too old, or the exchange said farewell.
    WANTS_SUCCESSOR = auto()


class Dead(NamedTuple):
    """Nothing is to be expected of the connection any more: hang up."""

    reason: str


class Denied(NamedTuple):
    """The exchange refused what was asked of it."""

    error: str


class ConnectionState:
    """See the module. `oldest_sec` is the age at which the connection asks for a successor.

    The streams must be confirmed within `confirm_sec`.

    `denied`: why streams that were asked for later were refused, None unless they were.
    `has_data`: market data came; `farewell`: the exchange asked us to leave; `left`: we were told to.
    """

    def __init__(self, idle_sec: float, oldest_sec: float, confirm_sec: float = CONFIRM_SEC) -> None:
        self._idle_sec = idle_sec
        self._oldest_sec = oldest_sec
        self._confirm_sec = confirm_sec
        self._opened = self._heard = 0.0
        self._reads = 0
        self._requests = 0
        self._unanswered: set[int] = set()
        self._confirmed: float | None = None
        self._agreed = False
        self.denied: str | None = None
        self._delivers = False
        self._wants_successor = False
        self._reason: str | None = None
        self._dead: str | None = None
        self.has_data = False
        self.farewell = False
        self.left = False

    @property
    def is_subscribed(self) -> bool:
        """Return whether the exchange confirmed the streams."""
        return self._confirmed is not None

    @property
    def is_settled(self) -> bool:
        """Return whether the exchange has answered all that was asked of it."""
        return not self._unanswered

    def opened(self, now: float, reads: int) -> None:
        """The connection is there; so many reads brought something whole so far."""
        self._opened = self._heard = now
        self._reads = reads

    def asked(self) -> int:
        """A request is made, whose number is returned; it counts as unanswered from here on."""
        self._requests += 1
        self._unanswered.add(self._requests)
        return self._requests

    def answered(self, request_id: int | None, error: str | None, now: float) -> list[Change | Denied]:
        """The exchange answered a request."""
        if error is not None:
            if not self._agreed or request_id not in self._unanswered:
                return [Denied(error)]
            # What is heard already goes on without these.
            self.denied = error
        self._unanswered.discard(request_id or 0)
        if self._unanswered:
            return []
        self._agreed = True
        return [Change.SETTLED, *self._confirm(now)]

    def data(self, now: float) -> list[Change]:
        """Market data came. It confirms the streams too, where they were asked for at once."""
        if self.has_data:
            return []
        self.has_data = True
        confirmed = self._confirm(now) if len(self._unanswered) <= 1 else []
        return confirmed or (self._deliver() if self.is_subscribed else [])

    def said_farewell(self) -> list[Change]:
        """The exchange is about to end the connection."""
        self.farewell = True
        self._reason = self._reason or "the exchange asked us to leave"
        return self._want_successor()

    def leave(self, reason: str) -> None:
        """The connection is to be closed in good order."""
        self.left = True
        self._reason = self._reason or reason

    def renew_after(self, age_sec: float) -> None:
        """Ask for a successor at this age at the latest."""
        self._oldest_sec = min(self._oldest_sec, age_sec)

    def tick(self, now: float, reads: int, *, paused: bool) -> list[Change | Dead]:
        """Time passes; so many reads brought something whole so far. `paused`: nobody reads, so nothing can come."""
        if reads != self._reads or paused:
            self._reads, self._heard = reads, now
        if now - self._heard >= self._idle_sec:
            return [self._die(f"no frame for {self._idle_sec:g} s")]
        if self._confirmed is None:
            is_late = now - self._opened >= self._confirm_sec
            reason = f"the subscription was not confirmed within {self._confirm_sec:g} s"
            return [self._die(reason)] if is_late else []
        age = now - self._confirmed
        found: list[Change | Dead] = []
        if age >= QUIET_SEC:
            found += self._deliver()
        if age >= self._oldest_sec:
            self._reason = self._reason or f"renewed after {age:.0f} s"
            found += self._want_successor()
        return found

    def lived_sec(self, now: float) -> float:
        """For how long it has been subscribed; 0 where it never was."""
        return 0.0 if self._confirmed is None else now - self._confirmed

    def why(self, *, refused: str | None, stopped: bool, closed: str) -> str:
        """Why it ended: `refused` is why we hung up on what came, `closed` what the library says of the end."""
        if refused or self._dead:
            return refused or self._dead or ""
        if self._reason and (self.left or self.farewell):
            return self._reason
        return "stopped" if stopped else closed

    def _confirm(self, now: float) -> list[Change]:
        if self._confirmed is not None:
            return []
        self._confirmed = now
        return [Change.SUBSCRIBED, *(self._deliver() if self.has_data else [])]

    def _deliver(self) -> list[Change]:
        said, self._delivers = self._delivers, True
        return [] if said else [Change.DELIVERS]

    def _want_successor(self) -> list[Change]:
        said, self._wants_successor = self._wants_successor, True
        return [] if said else [Change.WANTS_SUCCESSOR]

    def _die(self, reason: str) -> Dead:
        self._dead = reason
        return Dead(reason)
