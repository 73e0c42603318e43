"""When the exchange is asked for a book, and what becomes of the answer."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from collector_daemon import anchors as module
from collector_daemon.anchors import Anchors
from collector_daemon.decide.listening import Listening
from collector_daemon.decide.session import Session
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from crypto_lake.errors import ExchangeError, LeftAloneError, UnansweredError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Book
from crypto_lake.layout import DAY_US, MINUTE_US
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, FakeClock, configured, depth

BINANCE = registry.exchange("binance").recording(["trade", "bookTicker", "depth"])
BOOK = Book(5, (("1.0", "2.0"),), ())


class Client:
    """Gives the answers of a script, the last one over and over; remembers when what was asked for."""

    def __init__(self, clock: FakeClock, *script: Book | Exception) -> None:
        self._clock, self._script = clock, list(script)
        self.asked: list[tuple[str, float]] = []
        self.open = 0

    async def book(self, symbol: str, levels: int) -> Book:
        assert levels == 1000
        self.asked.append((symbol, self._clock.mono))
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.open -= 1


class Desk:
    """A session, a landing, and the anchors beside them, whose time passes as they sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Book | Exception) -> None:
        self.clock = FakeClock()
        self.client = Client(self.clock, *script)

        def opened(_name: str, _url: str) -> Client:
            self.client.open += 1
            return self.client

        monkeypatch.setattr(registry, "book_client", opened)
        self.session = Session(BINANCE.wire, SYMBOLS, BINANCE.streams)
        self.landing = Landing(Rotation(MINUTE_US), self.clock)
        self.landing.expect(SYMBOLS, Listening())
        self.is_full = False
        section = configured(Path(), 1).exchanges[0]
        self.anchors = Anchors(section, 1000, self.session, self.landing, self.clock, lambda: self.is_full)

    def receive(self, *frames: bytes) -> None:
        self.session.receive(frames, self.clock.wall, 1)
        self.session.take_depth()

    def live(self, seconds: float, then: Callable[[], object] = lambda: None) -> None:
        """Let the anchors run for so long; `then` something happens, and they run as long again."""

        async def run() -> None:
            task = asyncio.ensure_future(self.anchors.run())
            for _ in range(2):
                end = self.clock.mono + seconds
                while self.clock.mono < end and not task.done():  # noqa: ASYNC110 - a clock has no event
                    await asyncio.sleep(0)
                then()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(run())
        assert self.client.open == 0

    def times(self) -> list[float]:
        return [round(at, 1) for _, at in self.client.asked]

    def kept(self) -> int:
        return self.landing.unwritten()["SOLUSDT"]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    return lambda *script: Desk(monkeypatch, *script)


def test_a_book_is_asked_for_once_its_first_event_came(desk: Callable[..., Desk]) -> None:
    one = desk(BOOK)
    one.live(10)
    assert one.client.asked == []
    one.receive(depth(3, 5))
    one.live(10)
    assert ([symbol for symbol, _ in one.client.asked], one.kept()) == (["SOLUSDT"], 1)
    assert one.session.symbols["SOLUSDT"].anchored is not None


def test_after_a_break_it_is_asked_for_again_but_not_with_each(desk: Callable[..., Desk]) -> None:
    one = desk(Book(100, (), ()))
    one.receive(depth(3, 5))

    def breaks() -> None:
        one.receive(
            depth(
                one.session.symbols["SOLUSDT"].breaks * 2 + 7, one.session.symbols["SOLUSDT"].breaks * 2 + 7
            )
        )
        one.session.tick(T0, 0.0)
        one.session.tick(T0, 9.0)

    for _ in range(20):
        one.live(0.5, breaks)
    assert one.session.symbols["SOLUSDT"].breaks > 10
    assert all(later - at >= 5 for at, later in zip(one.times(), one.times()[1:], strict=False))
    assert len(one.times()) >= 3


def test_a_book_from_before_the_chain_is_asked_for_again_ever_later_and_not_kept(
    desk: Callable[..., Desk],
) -> None:
    one = desk(Book(1, (), ()))
    one.receive(depth(3, 5))
    one.live(16)
    waits = [later - at for at, later in zip(one.times(), one.times()[1:], strict=False)]
    assert waits == sorted(waits)
    assert 4 <= len(one.times()) <= 6
    assert one.kept() == 0
    one.client._script = [Book(2, (), ())]
    one.live(60)
    assert one.kept() == 1


def test_a_book_of_an_absurd_id_is_told_once_and_asked_for_again(
    desk: Callable[..., Desk], told: list[str]
) -> None:
    one = desk(Book(2**63 - 1, (), ()))
    one.receive(depth(3, 5))
    one.live(16)
    assert 3 <= len(one.times()) <= 6
    assert (one.kept(), len(told)) == (0, 1)
    assert "expected an id near 5, and found 9223372036854775807" in told[0]
    asyncio.run(one.anchors.last())
    assert one.kept() == 0
    one.client._script = [BOOK]
    one.live(60)
    assert one.kept() == 1


def test_at_midnight_every_book_that_is_recorded_is_asked_for_one_after_the_other(
    desk: Callable[..., Desk],
) -> None:
    one = desk(BOOK)
    one.receive(depth(3, 5), depth(3, 5, symbol="ADAUSDT"))
    one.live(10)
    asked = len(one.client.asked)
    one.clock.wall += DAY_US
    one.live(10)
    again = one.client.asked[asked:]
    assert sorted(symbol for symbol, _ in again) == sorted(SYMBOLS)
    assert abs(again[1][1] - again[0][1]) >= 1


@pytest.mark.parametrize(
    "error",
    [ExchangeError("no"), UnansweredError("no"), ExchangeError("refused")],
    ids=lambda one: type(one).__name__,
)
def test_failures_are_told_once_and_tried_again_ever_later(
    desk: Callable[..., Desk], told: list[str], error: Exception
) -> None:
    one = desk(error)
    one.receive(depth(3, 5))
    one.live(500)
    assert 8 <= len(one.times()) <= 14
    assert len(told) == 1
    one.client._script = [BOOK]
    one.live(400)
    assert one.kept() == 1


@pytest.mark.parametrize(("seconds", "hours"), [(7200.0, 2), (math.inf, 6)])
def test_an_exchange_that_wants_to_be_left_alone_is(
    desk: Callable[..., Desk], seconds: float, hours: int
) -> None:
    one = desk(LeftAloneError("x", seconds), BOOK)
    one.receive(depth(3, 5), depth(3, 5, symbol="ADAUSDT"))
    one.live(10)
    assert len(one.client.asked) == 1
    one.clock.pass_by(hours * 3600 - 40)
    one.live(5)
    assert len(one.client.asked) == 1
    one.live(60)
    assert len(one.client.asked) == 3


def test_one_that_refuses_one_book_gives_the_others(desk: Callable[..., Desk]) -> None:
    one = desk(ExchangeError("no"), BOOK)
    one.receive(depth(3, 5), depth(3, 5, symbol="ADAUSDT"))
    one.live(10)
    assert len(one.client.asked) == 3
    assert {symbol for symbol, _ in one.client.asked[1:]} == set(SYMBOLS)


def test_while_memory_is_full_nothing_is_asked_for(desk: Callable[..., Desk]) -> None:
    one = desk(BOOK)
    one.receive(depth(3, 5))
    one.is_full = True
    one.live(10)
    asyncio.run(one.anchors.last())
    assert one.client.asked == []


def test_at_the_end_a_last_one_is_kept_once_its_chain_has_come_so_far(desk: Callable[..., Desk]) -> None:
    one = desk(Book(9, (), ()))
    one.receive(depth(3, 5))

    async def end() -> bool:
        last = asyncio.ensure_future(one.anchors.last())
        for _ in range(20):
            await asyncio.sleep(0)
        waited = not last.done()
        one.receive(depth(6, 12))
        await last
        return waited

    assert asyncio.run(end())
    assert one.kept() == 1


def test_the_end_waits_for_no_exchange(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(module, "_LAST_SEC", 0.05)
    one = desk(Book(9, (), ()))
    one.receive(depth(3, 5))
    asyncio.run(one.anchors.last())
    assert "did not come within" in told[0]
    one.client._script = [ExchangeError("no")]
    asyncio.run(one.anchors.last())
    assert (len(told), one.client.open) == (2, 0)


def test_a_symbol_that_was_given_up_gets_no_more(desk: Callable[..., Desk]) -> None:
    one = desk(BOOK)
    one.receive(depth(3, 5))
    one.session.forget(["SOLUSDT"], T0)
    one.live(10)
    assert one.client.asked == []
