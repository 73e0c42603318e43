"""How long a client goes on asking: for ever while whole answers come, and not for days whatever comes instead."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from crypto_lake.errors import ExchangeError, UnreachableError
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.exchanges.limiter import UNTOLD_WEIGHT
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.exchanges.rest_script import START_US, Exchange, klines, refusal, row

PAGE_US = 1000 * MINUTE_US
# Pages of ninety days of three symbols.
MANY = 390
_WEIGHT = 2


class Slow(Exchange):
    """Takes `takes` seconds for an answer of `rows`, and tells what `used` makes of the time as the weight so far.

    `ask_pages` asks it for pages whose content nobody looks at, one after the other.
    """

    def __init__(
        self, takes: float = 0.2, used: Callable[[float], int] | None = None, rows: int = 1000
    ) -> None:
        super().__init__(klines(*[0] * rows))
        self._takes, self._used = takes, used

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.now += self._takes
        answer = super().__call__(request)
        if self._used:
            answer.headers["X-MBX-USED-WEIGHT-1M"] = str(self._used(self.now))
        return answer

    def http(self) -> BinanceHttp:
        """A client of it that knows today's limit."""
        transport = httpx.MockTransport(self)
        http = BinanceHttp(
            "http://exchange.test", sleep=self.sleep, clock=lambda: self.now, transport=transport
        )
        http.limiter.learn(6000)
        return http

    def ask_pages(self, count: int, rows: int = 1000) -> None:
        http = self.http()

        async def one_after_the_other() -> None:
            for _ in range(count):
                await http.get("klines", {}, _WEIGHT, rows=rows)

        asyncio.run(one_after_the_other())


class Drip(Slow):
    """Has twenty candles an answer, and takes almost as long for it as an answer may take."""

    def __init__(self) -> None:
        super().__init__(takes=29)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        super().__call__(request)
        first, last = (
            (int(request.url.params[key]) - START_US) // MINUTE_US for key in ("startTime", "endTime")
        )
        return klines(*map(row, range(first, last + 1)[:20]))


def test_answers_that_bring_little_and_take_long_have_an_end_together() -> None:
    exchange = Drip()
    client = BinanceRest(exchange.http())

    async def pages() -> None:
        for number in range(MANY):
            start = START_US + number * PAGE_US
            await client.candles_1m("SOLUSDT", start, start + PAGE_US)

    with pytest.raises(UnreachableError, match="30 minutes more than what it answered is worth"):
        asyncio.run(pages())
    assert exchange.now < 2400


def test_questions_that_wait_for_their_turn_are_not_asked_once_patience_is_at_its_end() -> None:
    exchange = Drip()
    client = BinanceRest(exchange.http())

    async def all_at_once() -> list[object]:
        starts = [START_US + number * PAGE_US for number in range(MANY)]
        asks = [client.candles_1m("SOLUSDT", start, start + PAGE_US) for start in starts]
        return await asyncio.gather(*asks, return_exceptions=True)

    found = asyncio.run(all_at_once())
    assert sum(isinstance(one, UnreachableError) for one in found) >= MANY - 4
    # Those that were on their way come to their end.
    assert exchange.now < 2400 + 4 * 29


def test_answers_with_few_of_the_rows_that_were_asked_for_are_worth_those_few() -> None:
    """As of trades, whose rest is asked for in the next question."""
    exchange = Slow(takes=29, rows=20)
    with pytest.raises(UnreachableError, match="30 minutes more than what it answered is worth"):
        exchange.ask_pages(MANY)
    assert exchange.now < 2400


def test_small_answers_that_take_long_have_an_end_together() -> None:
    exchange = Slow(takes=29)
    with pytest.raises(UnreachableError, match="30 minutes more than what it answered is worth"):
        exchange.ask_pages(1000, rows=1)
    assert exchange.now < 2400


def test_whole_answers_are_waited_for_however_slowly_they_come() -> None:
    exchange = Slow(takes=29)
    exchange.ask_pages(MANY)
    assert len(exchange.asked) == MANY


def test_a_weight_that_is_always_at_the_limit_is_not_waited_for_all_day() -> None:
    exchange = Slow(used=lambda _: 5999)
    with pytest.raises(UnreachableError, match="30 minutes more than what it answered is worth"):
        exchange.ask_pages(MANY)
    assert exchange.now < 5400


@pytest.mark.parametrize("used", [6001, 599_999])
def test_a_weight_above_the_limit_is_not_believed(used: int) -> None:
    exchange = Slow(used=lambda _: used)
    exchange.ask_pages(MANY)
    assert exchange.waits == []


def test_an_exchange_that_others_keep_busy_is_asked_at_the_pace_that_is_left() -> None:
    """Others use 5,380 of each of its minutes, of which 5,400 are for us."""

    def used(now: float) -> int:
        minutes = [answered // 60 for answered in when]
        when.append(now)
        return 5380 + _WEIGHT * (1 + minutes.count(now // 60))

    when: list[float] = []
    exchange = Slow(used=used)
    exchange.ask_pages(MANY)
    assert len(exchange.asked) == MANY
    assert sum(exchange.waits) > 1800


def test_at_the_pace_of_a_limit_that_is_not_told_nothing_is_lost() -> None:
    exchange = Slow(takes=0.05)
    http = exchange.http()
    http.limiter.limit = UNTOLD_WEIGHT

    async def a_trade_at_a_time() -> None:
        for _ in range(3000):
            await http.get("historicalTrades", {}, 25, rows=1)

    asyncio.run(a_trade_at_a_time())
    assert sum(exchange.waits) > 3600


def test_refusals_now_and_then_do_not_end_a_long_run_that_brings_much() -> None:
    class Busy(Slow):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = super().__call__(request)
            return refusal(429, "60") if len(self.asked) % 40 == 0 else answer

    exchange = Busy()
    exchange.ask_pages(4 * MANY)
    assert exchange.waits == [60] * 39


def test_a_machine_that_slept_did_not_wait_for_the_exchange() -> None:
    class Asleep(Slow):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            super().__call__(request)
            raise httpx.ReadError("the line is dead")

    exchange = Asleep(takes=8 * 3600)
    with pytest.raises(ExchangeError, match="no answer after 5 attempts"):
        exchange.ask_pages(1)
