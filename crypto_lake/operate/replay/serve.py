"""The command: which days of which symbols, at which pace, and what a person is told to type."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, EPOCH, SECOND_US, day_start_us
from crypto_lake.operate.replay import files, heard
from crypto_lake.operate.replay.tape import EARLY_US, LakeTape, Recorded
from crypto_lake.raw.lines import DEPTH
from crypto_lake.sections import ALWAYS_RECORDED
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake.simulator.server.openings import Openings
from crypto_lake.stop_signals import set_on_stop

# So far, by this machine's clock, from when a snapshot of the book was taken it is what is told of the book.
_NEAR_US = 1_000_000
# So long, by this machine's clock, before the first that was heard the market's clock begins: a recorder is there then.
_LEAD_SEC, _LEAD_A_BOOK_SEC, _LONGEST_LEAD_SEC = 1.5, 1.2, 10.0
_LOOK_SEC = 0.2
_SOON_SEC = 8.0
# So late, by this machine's clock, something may be, as long as that is no longer by the market's.
_LATE_US, _LATEST_US = 80_000, 600_000
# So many symbols are named.
_TOLD = 20
_CONFIG = """\
general: {{base_path: ./lake}}
exchanges:
  - name: binance
    symbols: [{symbols}]
    rest_url: "{rest_url}"
    wss_url: "{wss_url}"
    streams: [{streams}]
# A connection that ends where nobody had listened is opened again as soon as somebody had.
collector: {{reconnect_backoff: 0.1}}
{clock}"""


@dataclass(frozen=True)
class Wish:
    """What is asked for: `at_us` is how far into the day it begins.

    `begin_in` is in how many seconds the clock does, None: with the first client, or, where it is faster or slower than
    life, so that a recorder can be told of it, soon.
    """

    day: date
    symbols: Sequence[str]
    speed: float = 1.0
    at_us: int = 0
    begin_in: float | None = None
    mark_gaps: bool = False


@dataclass(frozen=True)
class Replay:
    """A day ready to be served: where it begins, what is there to record, and a recorder's clock, if that is known."""

    exchange: SimulatedExchange
    begin_us: int
    streams: Sequence[str]
    clock: str | None


def prepared(config: Config, wish: Wish) -> Replay:
    """Open the files of a day, and say how it is to be served.

    Raises:
        LakeError: the day, or a symbol's, is not there whole; or a file cannot be read.
    """
    if wish.begin_in is None and wish.speed != 1:
        wish = replace(wish, begin_in=_SOON_SEC)
    found = files.series(config, wish.day, wish.symbols)
    start_us, end_us = day_start_us(wish.day) + wish.at_us, day_start_us(wish.day) + DAY_US
    early_us = int((wish.begin_in or 0.0) * wish.speed * SECOND_US)
    recorded = files.opened(config, found, wish.day, int(_NEAR_US * wish.speed))
    goes_on = any(first <= start_us < last for one in recorded.values() for first, last in one.listened)
    lead_us = int(_lead_sec(recorded, is_whole=goes_on and not wish.at_us) * wish.speed * SECOND_US)
    openings = {
        symbol: heard.stretches(one.listened, start_us, end_us, lead_us + early_us)
        for symbol, one in recorded.items()
    }
    firsts = [some[0] for some in openings.values() if some]
    if not firsts:
        raise LakeError(f"{config.layout.base}: nobody listened on {wish.day} after {_time(start_us)}")
    begin_us = (start_us if goes_on else min(first.open_us for first in firsts)) - lead_us
    tape_us = begin_us if goes_on else min(first.first_us for first in firsts)
    tape = LakeTape(recorded, tape_us, end_us, _late_us(wish))
    for symbol in tape.symbols:
        # What is needed at once is not read while somebody waits; a book is carried from where the day began.
        tape.book(symbol, 1, begin_us)
        list(tape.events(symbol, tape_us, tape_us + 1))
    market, text = _clock(wish, begin_us - early_us)
    exchange = SimulatedExchange(
        tape,
        market,
        # A client that asks for too much too fast is the exchange's trouble.
        incoming_limit=None,
        openings=Openings(openings),
        questions_begin=True,
        tells_losses=wish.mark_gaps,
    )
    streams = [*ALWAYS_RECORDED, *([DEPTH.name] if any(one.depth for one in recorded.values()) else [])]
    return Replay(exchange, begin_us, streams, text)


def _lead_sec(recorded: Mapping[str, Recorded], *, is_whole: bool) -> float:
    """Return how long before the first that is served the clock begins.

    Of a day that is replayed whole a recorder has that long to fetch a snapshot of each book, which goes on.
    """
    books = sum(bool(one.depth) for one in recorded.values()) if is_whole else 0
    return min(_LEAD_SEC + _LEAD_A_BOOK_SEC * books, _LONGEST_LEAD_SEC)


def _late_us(wish: Wish) -> int:
    """Return how late something may be for a recorder whose clock runs as fast as the market."""
    is_recorded_fast = wish.begin_in is not None and wish.speed > 1
    return min(max(int(_LATE_US * wish.speed), EARLY_US), _LATEST_US) if is_recorded_fast else EARLY_US


def _clock(wish: Wish, begin_us: int) -> tuple[MarketClock, str | None]:
    """The market's clock, and how a recorder's configuration says the same; None where it begins with a client."""
    if wish.begin_in is None:
        return MarketClock(begin_us, wish.speed, waiting=True), None
    began_us = clock.wall_us() // 1000 * 1000
    text = f"{{began: {_iso(began_us)}, market: {_iso(begin_us)}, speed: {wish.speed:g}}}"
    return MarketClock(begin_us, wish.speed, began_us=began_us), text


def serve(replay: Replay, port: int, tell: Callable[[str], None]) -> None:
    """Serve it until Ctrl-C, on loopback.

    Raises:
        LakeError: the port is taken.
    """
    stop = threading.Event()
    set_on_stop(stop)
    try:
        with running(replay.exchange, port) as address:
            for line in _told(replay, address):
                tell(line)
            _until(stop, replay, tell)
    except OSError as error:
        raise LakeError(f"port {port}: {error.strerror or error}; expected a free one (0: any)") from None
    tell("Stopped.")


def _told(replay: Replay, address: Address) -> Iterator[str]:
    symbols, speed = replay.exchange.tape.symbols, replay.exchange.clock.speed
    yield f"wss_url:  {address.ws_url}"
    yield f"rest_url: {address.rest_url}"
    yield f"{_time(replay.begin_us)}, {speed:g} times as fast as life: {', '.join(symbols)}"
    when = (
        "It begins soon"
        if replay.clock
        else "It waits for a client that subscribes, or asks about the market"
    )
    yield f"{when}. Ctrl-C stops."
    yield "A recorder's config.yml, in a folder of its own:"
    yield _CONFIG.format(
        symbols=", ".join(symbols) if len(symbols) <= _TOLD else "all",
        rest_url=address.rest_url,
        wss_url=address.ws_url,
        streams=", ".join(replay.streams),
        clock=f"clock: {replay.clock}" if replay.clock else "checks: {max_clock_offset_sec: 1.0e+9}",
    )


def _until(stop: threading.Event, replay: Replay, tell: Callable[[str], None]) -> None:
    """Wait to be stopped, and tell when the day begins and ends."""
    market, end_us = replay.exchange.clock, replay.exchange.tape.end_us or 0
    news = [
        (replay.begin_us, "The clock runs."),
        (end_us, "The day is over. Questions over REST are still answered."),
    ]
    while not stop.wait(_LOOK_SEC):  # short waits: Windows does not interrupt a long one
        while news and market.now_us() > news[0][0]:
            tell(news.pop(0)[1])


def _time(us: int) -> str:
    return f"{EPOCH + timedelta(microseconds=us):%Y-%m-%d %H:%M:%S} UTC"


def _iso(us: int) -> str:
    return (EPOCH + timedelta(microseconds=us)).isoformat()
