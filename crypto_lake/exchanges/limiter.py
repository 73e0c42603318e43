"""The pace at which an exchange may be asked: weights and the clock's seconds in, a wait out.

No clock, no sockets. All that one client sends goes through one `Limiter`, so that what the exchange says to one
request holds for all.
"""

import math

# Counters of the exchange begin anew each minute of its own clock. A minute may lie anywhere, so any 60 s must do.
_PERIOD_SEC = 60
# Other programs may share the address; what they use shows only in the next answer.
_SHARE = 0.9
# A request that is still on its way decides when the next may go; it is looked for again so soon.
_LOOK_AGAIN_SEC = 0.02
# Holds until the exchange has told its own limit: what it was before the summer of 2023, a fifth of today's.
UNTOLD_WEIGHT = 1200
# What it is today (a counter may show that before the limit is told).
_TODAYS_LIMIT = 6000
# A limit outside these is a mistake of who says so.
_BELIEVED = range(100, 1_000_000)


class Booking:
    """A weight that counts against the limit until `expires`; while its request is on its way, for ever."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.expires = math.inf


class Limiter:
    """The ledger of one client. `now` is a clock in seconds that never goes back, the same one in each call.

    A request counts from when it is sent until 60 s after its answer: then whatever minute the exchange counted it in
    is over. Where the exchange says that more was used than the ledger knows of, the difference counts as long.
    """

    def __init__(self) -> None:
        self.limit = UNTOLD_WEIGHT
        self._ledger: list[Booking] = []
        self._quiet_until = -math.inf
        self._probing = True

    def quiet(self, now: float) -> float:
        """Seconds for which the exchange wants to hear nothing at all; 0 where it does not mind."""
        return max(0.0, self._quiet_until - now)

    def wait(self, weight: int, now: float) -> float:
        """Seconds after which to ask again whether a request may go; 0: it may go now."""
        if quiet := self.quiet(now):
            return quiet
        self._ledger = [booking for booking in self._ledger if booking.expires > now]
        if not self._ledger:
            return 0
        # What others use is not known before the first answer, nor after a refusal: one request goes ahead.
        if self._probing and self._on_their_way():
            return _LOOK_AGAIN_SEC
        if self._used() + weight <= self.limit * _SHARE:
            return 0
        first = min(booking.expires for booking in self._ledger)
        return _LOOK_AGAIN_SEC if math.isinf(first) else first - now

    def send(self, weight: int) -> Booking:
        """Book a request that goes out now; `answered` or `lost` is called with what is returned."""
        booking = Booking(weight)
        self._ledger.append(booking)
        return booking

    def learn(self, limit: int) -> bool:
        """Hold a limit that the exchange told from now on, and say whether it was one to believe."""
        if believed := limit in _BELIEVED:
            self.limit = limit
        return believed

    def answered(self, booking: Booking, used: int | None, now: float) -> bool:
        """Note an answer, and say whether its `used` was one to believe.

        `used` is the weight of this minute as the exchange counts it; None where it did not say. More than the limit it
        is in no answer but a refusal, after which nothing is asked for as long as that says.
        """
        self.lost(booking, now)
        self._probing = False
        if used is not None and not 0 <= used <= max(self.limit, _TODAYS_LIMIT):
            return False
        unknown = (used or 0) + self._on_their_way() - self._used()
        if unknown > 0:
            self.lost(self.send(unknown), now)
        return True

    def lost(self, booking: Booking, now: float) -> None:
        """No answer will come; the exchange may have counted the request all the same."""
        booking.expires = now + _PERIOD_SEC

    def silence(self, seconds: float, now: float) -> None:
        """The exchange wants to hear nothing for so long; a shorter wish does not shorten a longer one."""
        self._quiet_until = max(self._quiet_until, now + seconds)
        self._probing = True

    def _used(self) -> int:
        return sum(booking.weight for booking in self._ledger)

    def _on_their_way(self) -> int:
        return sum(booking.weight for booking in self._ledger if math.isinf(booking.expires))
