"""The exchange's patience with one client: request weights, 429, and bans.

Here belongs the counting (rest-api.md, "LIMITS"): plain numbers in, a verdict out, the wall clock's time given by the
caller.
"""

from __future__ import annotations

from typing import NamedTuple

_MINUTE_S = 60
_LONGEST_BAN_S = 3 * 86_400


class Verdict(NamedTuple):
    """The answer that a request meets: HTTP 200, 429 or 418."""

    status: int
    used_weight: int  # in this minute, this request's included
    retry_after_s: int  # 0 where there is nothing to wait for
    banned_until_s: int  # since the epoch; 0 where there is no ban


class WeightLimit:
    """Weight used a wall-clock minute, and what happens above the limit.

    A client that keeps asking through its 429s is banned; a client that keeps asking through its ban is banned for
    twice as long, up to three days.

    Args:
        weight: limit a minute.
        patience: how many requests after the first 429 of a minute are forgiven.
        ban_s: length of the first ban, seconds.
    """

    def __init__(self, weight: int, patience: int = 5, ban_s: int = 120) -> None:
        self.weight = weight
        self._patience = patience
        self._next_ban_s = ban_s
        self._minute = -1
        self._used = 0
        self._ignored = 0
        self._banned_until_s = 0

    def ask(self, weight: int, now_s: float) -> Verdict:
        """Count one request at `now_s`, seconds since the epoch."""
        minute, second = divmod(int(now_s), _MINUTE_S)
        if minute != self._minute:
            self._minute, self._used, self._ignored = minute, 0, 0
        self._used += weight
        if now_s < self._banned_until_s:
            return self._ban(now_s)
        if self._used <= self.weight:
            return Verdict(200, self._used, 0, 0)
        self._ignored += 1
        if self._ignored > self._patience + 1:
            return self._ban(now_s)
        return Verdict(429, self._used, _MINUTE_S - second, 0)

    def _ban(self, now_s: float) -> Verdict:
        length_s = self._next_ban_s
        self._banned_until_s = int(now_s) + length_s
        self._next_ban_s = min(2 * length_s, _LONGEST_BAN_S)
        return Verdict(418, self._used, length_s, self._banned_until_s)
