from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.simulator.market.synthetic import EPOCH_US, SyntheticMarket
from crypto_lake.simulator.market.tape import Page, Quote, Trade

from .conftest import NOON_US

HOUR_US = 3_600_000_000
MIDNIGHT_US = NOON_US + 12 * HOUR_US
MARKET = SyntheticMarket(7, ["SOLUSDT", "ADAUSDT", "WHATEVER"])
times = st.integers(EPOCH_US, NOON_US + 365 * 24 * HOUR_US)


def around(
    symbol: str, time_us: int, seconds: int = 30, market: SyntheticMarket = MARKET
) -> list[Trade | Quote]:
    return list(market.events(symbol, time_us - seconds * 1_000_000, time_us + seconds * 1_000_000))


@pytest.mark.parametrize("border_us", [NOON_US, MIDNIGHT_US, EPOCH_US + HOUR_US])
def test_ids_go_on_across_the_borders_of_hours_and_days(border_us: int) -> None:
    events = around("SOLUSDT", border_us, 120)
    trades = [event.id for event in events if isinstance(event, Trade)]
    quotes = [event.update_id for event in events if isinstance(event, Quote)]
    assert {trade.ts_us < border_us for trade in events if isinstance(trade, Trade)} == {True, False}
    assert trades == list(range(trades[0], trades[-1] + 1))
    assert all(a < b for a, b in pairwise(quotes))


def test_the_price_goes_on_across_the_border_of_an_hour() -> None:
    bids = [event.bid for event in around("SOLUSDT", NOON_US) if isinstance(event, Quote)]
    assert max(abs(b - a) for a, b in pairwise(bids)) < 20_000_000


def test_the_first_trade_of_all_has_id_1() -> None:
    first, second = MARKET.trades_from("ADAUSDT", -5, 2, NOON_US)
    assert (first.id, second.id) == (1, 2)
    assert first.ts_us >= EPOCH_US
    assert not MARKET.recent_trades("ADAUSDT", 5, EPOCH_US - 1)


def test_every_trade_hits_the_quote_that_prevails() -> None:
    quote = None
    hits = 0
    for event in around("SOLUSDT", NOON_US, 300):
        if isinstance(event, Quote):
            quote = event
        elif quote is not None:
            assert event.price == (quote.bid if event.buyer_is_maker else quote.ask)
            hits += 1
    assert hits > 500


def test_events_come_in_the_order_of_their_times() -> None:
    events = around("SOLUSDT", NOON_US, 300)
    assert all(a.sent_us <= b.sent_us for a, b in pairwise(events))


@given(start_us=times, lengths=st.lists(st.integers(0, 700_000_000), min_size=1, max_size=4))
def test_any_cut_in_time_gives_the_same_events(start_us: int, lengths: list[int]) -> None:
    ends = np.cumsum([start_us, *lengths]).tolist()
    pieces = [event for a, b in pairwise(ends) for event in MARKET.events("ADAUSDT", a, b)]
    assert pieces == list(MARKET.events("ADAUSDT", start_us, ends[-1]))


@given(now_us=times)
def test_a_trade_is_found_by_its_id_at_any_time(now_us: int) -> None:
    for trade in MARKET.recent_trades("ADAUSDT", 3, now_us):
        assert trade.ts_us <= now_us
        assert MARKET.trades_from("ADAUSDT", trade.id, 1, now_us) == [trade]


def test_two_markets_of_one_seed_are_the_same() -> None:
    assert around("SOLUSDT", NOON_US) == around("SOLUSDT", NOON_US, market=SyntheticMarket(7, ["SOLUSDT"]))


def test_another_seed_is_another_market() -> None:
    assert around("SOLUSDT", NOON_US) != around("SOLUSDT", NOON_US, market=SyntheticMarket(8, ["SOLUSDT"]))


def test_times_are_finer_than_milliseconds() -> None:
    assert any(event.ts_us % 1000 for event in around("SOLUSDT", NOON_US) if isinstance(event, Trade))


def test_prices_and_quantities_are_whole_steps() -> None:
    instrument = MARKET.instrument("SOLUSDT")
    trades = [event for event in around("SOLUSDT", NOON_US) if isinstance(event, Trade)]
    assert all(trade.price % instrument.tick == 0 and trade.qty % instrument.step == 0 for trade in trades)
    assert all(trade.qty > 0 for trade in trades)


def test_a_thin_symbol_is_silent_for_tens_of_seconds_and_trades_in_bursts() -> None:
    trades = [event for event in around("ADAUSDT", NOON_US, 1800) if isinstance(event, Trade)]
    waits = [b.ts_us - a.ts_us for a, b in pairwise(trades)]
    assert max(waits) > 20_000_000
    assert sum(wait < 100_000 for wait in waits) > len(waits) / 3


def test_a_symbol_nobody_knows_trades_too() -> None:
    assert around("WHATEVER", NOON_US, 300)
    assert MARKET.instrument("WHATEVER").tick > 0


def test_the_rate_multiplies_the_messages() -> None:
    busy = SyntheticMarket(7, ["SOLUSDT"], rate=200)
    assert 1000 < len(around("SOLUSDT", NOON_US, 5, busy)) / 10 < 4000


@pytest.mark.parametrize("rate", [1, 40])
def test_candles_of_a_coarse_interval_are_those_of_the_fine_one_put_together(rate: float) -> None:
    market = SyntheticMarket(3, ["ADAUSDT"], rate)
    fine = market.candles("ADAUSDT", Page(60_000_000, NOON_US, None, 60), NOON_US + 2 * HOUR_US)
    (coarse,) = market.candles("ADAUSDT", Page(HOUR_US, NOON_US, None, 1), NOON_US + 2 * HOUR_US)
    traded = [candle for candle in fine if candle.trades]
    assert (coarse.open, coarse.close) == (traded[0].open, traded[-1].close)
    assert coarse.high == max(candle.high for candle in traded)
    assert coarse.quote_volume == sum(candle.quote_volume for candle in fine)
    assert coarse.trades == sum(candle.trades for candle in fine)


def test_a_minute_without_trades_is_flat_at_the_close_before() -> None:
    candles = MARKET.candles("ADAUSDT", Page(60_000_000, NOON_US, None, 500), NOON_US + 9 * HOUR_US)
    quiet = [(a, b) for a, b in pairwise(candles) if not b.trades]
    assert quiet
    assert all({b.open, b.high, b.low, b.close} == {a.close} and b.volume == 0 for a, b in quiet)


def test_the_open_candle_holds_what_is_known_and_nothing_later() -> None:
    now_us = NOON_US + 30_500_000
    (candle,) = MARKET.candles("SOLUSDT", Page(60_000_000, NOON_US, None, 10), now_us)
    known = MARKET.recent_trades("SOLUSDT", 1000, now_us)
    assert candle.trades == sum(trade.ts_us >= NOON_US for trade in known)
    assert candle.close == known[-1].price
