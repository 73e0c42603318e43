"""The synthetic book: rebuilt as a client would, and compared with the quotes and with itself."""

import hashlib
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_lake.simulator.market.synthetic import EPOCH_US, SyntheticMarket
from crypto_lake.simulator.market.tape import Book, DepthEvent, Quote

from .conftest import NOON_US

SECOND_US, WINDOW_US = 1_000_000, 100_000
MARKET = SyntheticMarket(7, ["SOLUSDT", "ADAUSDT", "WHATEVER"])
BUSY = SyntheticMarket(3, ["SOLUSDT", "BTCUSDT"], rate=10)
ALL = 5000
times = st.integers(EPOCH_US + SECOND_US, NOON_US + 365 * 24 * 3600 * SECOND_US)


def carry(book: Book, events: Iterable[DepthEvent]) -> Book:
    """The exchange's own recipe: drop what is old, let nothing be missing, take quantities as they are."""
    bids, asks, last = dict(book.bids), dict(book.asks), book.update_id
    for event in events:
        if event.last_id <= last:
            continue
        assert event.first_id <= last + 1
        bids |= event.bids
        asks |= event.asks
        last = event.last_id
    kept = [[(price, qty) for price, qty in side.items() if qty] for side in (bids, asks)]
    return Book(last, tuple(sorted(kept[0], reverse=True)), tuple(sorted(kept[1])))


def top(book: Book) -> tuple[int, ...]:
    return *book.bids[0], *book.asks[0]


@pytest.mark.parametrize(
    ("market", "symbol", "window_us"),
    [
        (MARKET, "SOLUSDT", WINDOW_US),
        (MARKET, "ADAUSDT", WINDOW_US),
        (MARKET, "WHATEVER", SECOND_US),
        (BUSY, "BTCUSDT", WINDOW_US),
        (BUSY, "SOLUSDT", SECOND_US),
    ],
)
def test_at_the_end_of_each_event_the_rebuilt_book_has_the_best_prices_of_the_newest_quote(
    market: SyntheticMarket, symbol: str, window_us: int
) -> None:
    # Over the border of an hour, and so of blocks.
    start_us, end_us = NOON_US - 20 * SECOND_US, NOON_US + 20 * SECOND_US
    quotes = [it for it in market.events(symbol, start_us - 300 * SECOND_US, end_us) if isinstance(it, Quote)]
    quote_ids = [quote.update_id for quote in quotes]
    book = market.book(symbol, ALL, start_us + SECOND_US)
    assert book
    boundaries = 0
    for event in market.depth(symbol, start_us + SECOND_US, end_us, window_us):
        book = carry(book, [event])
        newest = quotes[int(np.searchsorted(quote_ids, book.update_id, side="right")) - 1]
        assert top(book) == newest[2:]
        boundaries += 1
    assert boundaries > 20


@pytest.mark.parametrize("window_us", [WINDOW_US, SECOND_US])
@pytest.mark.parametrize("border_us", [NOON_US, NOON_US + 12 * 3600 * SECOND_US])
def test_events_form_a_chain_across_hours_and_days(border_us: int, window_us: int) -> None:
    events = list(MARKET.depth("SOLUSDT", border_us - 30 * SECOND_US, border_us + 30 * SECOND_US, window_us))
    assert len(events) > 20
    assert all(then.first_id == first.last_id + 1 for first, then in pairwise(events))
    assert all(event.bids or event.asks for event in events)
    assert all(first.event_us < then.event_us for first, then in pairwise(events))


@settings(max_examples=25)
@given(start_us=times, seconds=st.integers(1, 4), share=st.floats(0, 1))
def test_a_snapshot_at_any_moment_carried_over_the_events_is_the_snapshot_at_the_end(
    start_us: int, seconds: int, share: float
) -> None:
    end_us = start_us + seconds * SECOND_US
    events = list(BUSY.depth("BTCUSDT", start_us, end_us, WINDOW_US))
    book = BUSY.book("BTCUSDT", ALL, start_us + int(share * seconds * SECOND_US))
    assert book
    whole = carry(book, events)
    last = events[-1] if events else None
    if last is None or book.update_id > last.last_id:
        assert whole == book
    else:
        assert whole == BUSY.book("BTCUSDT", ALL, last.event_us - 1)
        assert whole.update_id == last.last_id


@settings(max_examples=30)
@given(start_us=times, lengths=st.lists(st.integers(0, 40_000_000), min_size=1, max_size=4))
def test_any_cut_in_time_gives_the_same_depth(start_us: int, lengths: list[int]) -> None:
    ends = np.cumsum([start_us, *lengths]).tolist()
    pieces = [event for a, b in pairwise(ends) for event in MARKET.depth("ADAUSDT", a, b, WINDOW_US)]
    assert pieces == list(SyntheticMarket(7, ["ADAUSDT"]).depth("ADAUSDT", start_us, ends[-1], WINDOW_US))


def test_an_event_has_happened_within_its_window_and_after_its_quotes() -> None:
    events = list(MARKET.depth("SOLUSDT", NOON_US, NOON_US + 60 * SECOND_US, WINDOW_US))
    quotes = [
        it for it in MARKET.events("SOLUSDT", NOON_US, NOON_US + 60 * SECOND_US) if isinstance(it, Quote)
    ]
    for quote in quotes:
        # The first event that holds the quote's change ends within a window of the quote.
        holds = next((it for it in events if it.first_id <= quote.update_id <= it.last_id), None)
        if holds:
            assert 0 < holds.sent_us - quote.sent_us <= WINDOW_US
    assert len(events) > 200


def test_an_event_of_a_second_is_ten_of_a_tenth_put_together() -> None:
    fine = list(BUSY.depth("SOLUSDT", NOON_US, NOON_US + 10 * SECOND_US, WINDOW_US))
    for event in BUSY.depth("SOLUSDT", NOON_US + SECOND_US, NOON_US + 9 * SECOND_US, SECOND_US):
        parts = [it for it in fine if event.first_id <= it.first_id and it.last_id <= event.last_id]
        assert (parts[0].first_id, parts[-1].last_id) == (event.first_id, event.last_id)
        bids, asks = dict[int, int](), dict[int, int]()
        for part in parts:
            bids |= part.bids
            asks |= part.asks
        assert (bids, asks) == (dict(event.bids), dict(event.asks))


@pytest.mark.parametrize("symbol", MARKET.symbols)
def test_a_book_is_some_dozens_of_levels_in_order_and_in_whole_steps(symbol: str) -> None:
    book, instrument = MARKET.book(symbol, ALL, NOON_US), MARKET.instrument(symbol)
    assert book
    for side, falls in ((book.bids, True), (book.asks, False)):
        assert 30 <= len(side) <= 65
        prices = [price for price, _ in side]
        assert prices == sorted(set(prices), reverse=falls)
        assert all(p % instrument.tick == 0 and q > 0 and q % instrument.step == 0 for p, q in side)
    assert 0 < book.bids[-1][0] < book.bids[0][0] < book.asks[0][0]
    assert MARKET.book(symbol, 5, NOON_US) == Book(book.update_id, book.bids[:5], book.asks[:5])


def test_a_busy_symbol_changes_dozens_of_levels_an_event() -> None:
    events = list(BUSY.depth("BTCUSDT", NOON_US, NOON_US + 30 * SECOND_US, WINDOW_US))
    changes = [len(event.bids) + len(event.asks) for event in events]
    assert 40 < sum(changes) / len(changes) < 80
    assert len(events) > 280


def test_a_market_of_a_seed_is_to_the_last_digit_what_it_always_was() -> None:
    between_us = NOON_US - 30 * SECOND_US, NOON_US + 30 * SECOND_US
    events = [tuple(it) for it in MARKET.events("SOLUSDT", *between_us)]
    depth = [tuple(it) for it in MARKET.depth("SOLUSDT", *between_us, WINDOW_US)]
    digests = [hashlib.sha256(repr(found).encode()).hexdigest()[:16] for found in (events, depth)]
    assert digests == ["51377203c1803bfe", "a6738d1bb1d22f1d"]


def test_before_the_market_opened_there_is_no_book() -> None:
    assert MARKET.book("SOLUSDT", 5, EPOCH_US - 1) is None
    assert MARKET.quote("SOLUSDT", EPOCH_US - 1) is None
    events = MARKET.depth("SOLUSDT", EPOCH_US - SECOND_US, EPOCH_US + 30 * SECOND_US, WINDOW_US)
    first = MARKET.book("SOLUSDT", ALL, EPOCH_US)
    assert first
    assert carry(first, events).bids[0] != first.bids[0]


@settings(max_examples=30)
@given(now_us=times)
def test_the_newest_quote_is_that_of_the_stream_and_of_the_book(now_us: int) -> None:
    quote, book = MARKET.quote("SOLUSDT", now_us), MARKET.book("SOLUSDT", 1, now_us)
    assert quote
    assert book
    assert top(book) == quote[2:]
    following = next(
        it
        for it in MARKET.events("SOLUSDT", quote.sent_us + 1, now_us + 100 * SECOND_US)
        if isinstance(it, Quote)
    )
    assert quote.sent_us <= now_us + 150 < following.sent_us
    assert quote.update_id <= book.update_id < following.update_id
