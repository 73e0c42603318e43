"""What the streams beside `@trade` and `@bookTicker` say, and when.

Here belong the streams' names (web-socket-streams.md), how often each is sent, and what it is made of. A stretch of a
stream is a pure function of the tape, whoever listens; a name that is none says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.binance import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_lake.simulator.market.tape import Event, Tape

_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<ms>100|1000)ms)?")


class Said(NamedTuple):
    """A payload of a stream and when it is sent; `event` where it tells exactly one."""

    sent_us: int
    event: Event | None
    text: str


def said(tape: Tape, stream: str, start_us: int, end_us: int, unit_us: int) -> Iterator[Said]:
    """What a stream of one of the tape's symbols says in `[start_us, end_us)`, in order."""
    name, _, kind = stream.partition("@")
    symbol = name.upper()
    if depth := _DEPTH.fullmatch(kind):
        window_us = int(depth["ms"] or 1000) * 1000
        for event in tape.depth(symbol, start_us, end_us, window_us):
            if depth["levels"] is None:
                yield Said(event.sent_us, event, wire.depth_payload(symbol, event, unit_us))
            elif book := tape.book(symbol, int(depth["levels"]), event.sent_us):
                yield Said(event.sent_us, None, wire.book_payload(book))
