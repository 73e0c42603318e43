"""Depth as a client meets it: over sockets, with the exchange's spellings, limits, weights and faults."""

from collections import Counter
from itertools import pairwise

import httpx
import pytest

from crypto_lake.simulator.server.exchange import Address, SimulatedExchange
from crypto_lake.simulator.server.faults import Faults, parse_faults

from .clients import Json, ask, listen

DEPTH = "solusdt@depth@100ms"


def depth(address: Address, **params: Json) -> Json:
    return ask(address, "depth", symbol="SOLUSDT", **params).json()


def weight(answer: httpx.Response) -> int:
    return int(answer.headers["X-MBX-USED-WEIGHT-1M"])


def breaks(frames: list[Json]) -> list[tuple[int, int]]:
    """Where the chain is broken: the last id before, and the first id after."""
    return [(first["u"], then["U"]) for first, then in pairwise(frames) if then["U"] > first["u"] + 1]


def test_a_depth_event_is_spelt_as_the_exchange_spells_it(address: Address) -> None:
    wrapped, *_ = listen(address, f"/stream?streams={DEPTH}", 1)
    assert wrapped.keys() == {"stream", "data"}
    assert wrapped["stream"] == DEPTH
    event = wrapped["data"]
    assert list(event) == ["e", "E", "s", "U", "u", "b", "a"]
    assert (event["e"], event["s"], len(str(event["E"]))) == ("depthUpdate", "SOLUSDT", 13)
    assert event["U"] <= event["u"]
    assert all(len(level) == 2 and len(text.split(".")[1]) == 8 for level in event["b"] for text in level)
    bids = [float(price) for price, _ in event["b"]]
    assert bids == sorted(bids, reverse=True)


@pytest.mark.parametrize("stream", [DEPTH, "solusdt@depth", "solusdt@depth@1000ms"])
def test_events_over_a_connection_form_a_chain(
    exchange: SimulatedExchange, address: Address, stream: str
) -> None:
    frames = listen(address, f"/ws/{stream}", 12 if stream == DEPTH else 3)
    assert breaks(frames) == []
    steps = {then["E"] - first["E"] for first, then in pairwise(frames)}
    assert steps <= ({100, 200, 300} if stream == DEPTH else {1000})


def test_a_snapshot_and_the_events_after_it_join(address: Address) -> None:
    frames = listen(address, f"/ws/{DEPTH}", 2)
    snapshot = depth(address)
    assert list(snapshot) == ["lastUpdateId", "bids", "asks"]
    assert snapshot["lastUpdateId"] >= frames[0]["U"]
    after = listen(address, f"/ws/{DEPTH}", 2)
    assert any(frame["u"] > snapshot["lastUpdateId"] for frame in after)


def test_a_part_of_the_book_is_streamed_with_its_update_id(address: Address) -> None:
    book, *_ = listen(address, "/ws/solusdt@depth5@100ms", 1)
    assert list(book) == ["lastUpdateId", "bids", "asks"]
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)


def test_a_snapshot_has_no_more_levels_than_asked_for(address: Address) -> None:
    few, all_ = depth(address, limit=7), depth(address)
    assert (len(few["bids"]), len(few["asks"])) == (7, 7)
    assert 30 < len(all_["bids"]) <= 65


@pytest.mark.parametrize(("limit", "cost"), [(100, 5), (500, 25), (1000, 50), (1001, 250), (9999, 250)])
def test_deeper_snapshots_weigh_more(address: Address, limit: int, cost: int) -> None:
    first = ask(address, "depth", symbol="SOLUSDT", limit=limit)
    then = ask(address, "depth", symbol="SOLUSDT", limit=limit)
    assert weight(then) - weight(first) == cost or weight(then) == cost


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -1102),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"symbol": "SOLUSDT", "limit": 0}, -1130),
        ({"symbol": "SOLUSDT", "limit": "many"}, -1100),
    ],
)
def test_a_wrong_request_for_a_snapshot_is_refused(
    address: Address, params: dict[str, Json], code: int
) -> None:
    answer = ask(address, "depth", **params)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_lost_depth_events_break_the_chain(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(lose_depth_every=3)
    frames = listen(address, f"/ws/{DEPTH}", 12)
    assert breaks(frames)
    assert not any(frame["u"] % 3 == 0 for frame in frames)


def test_doubled_depth_events_come_twice_in_a_row(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(double_depth_every=2)
    frames = listen(address, f"/ws/{DEPTH}", 12)
    # The double of the last one may be still to come.
    times = Counter(frame["u"] for frame in frames if frame["u"] != frames[-1]["u"])
    assert {u: count for u, count in times.items() if count > 1} == {u: 2 for u in times if u % 2 == 0} != {}


def test_an_overlapping_event_begins_where_the_one_before_did_and_tells_its_changes_again(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(overlap_depth_every=2)
    frames = listen(address, f"/ws/{DEPTH}", 12)
    overlaps = [(first, then) for first, then in pairwise(frames) if then["U"] <= first["u"]]
    assert {then["u"] % 2 for _, then in overlaps} == {0}
    assert breaks(frames) == []
    for first, then in overlaps:
        assert dict(first["b"]).keys() <= dict(then["b"]).keys()
        prices = [float(price) for price, _ in then["a"]]
        assert prices == sorted(prices)


def test_a_stale_snapshot_is_older_than_the_first_event(
    exchange: SimulatedExchange, address: Address
) -> None:
    first, *_ = listen(address, f"/ws/{DEPTH}", 1)
    exchange.faults = Faults(snapshot_stale_s=60)
    assert depth(address)["lastUpdateId"] < first["U"]
    exchange.faults = Faults()
    assert depth(address)["lastUpdateId"] >= first["U"]


def test_a_snapshot_may_lack_levels(exchange: SimulatedExchange, address: Address) -> None:
    now_us = exchange.clock.now_us()
    exchange.faults = Faults(snapshot_lacks_every=4)
    answer = depth(address, limit=20)
    assert len(answer["bids"]) == len(answer["asks"]) == 15
    assert exchange.tape.book("SOLUSDT", 20, now_us)


def test_lost_quotes_are_missing_on_the_stream(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(lose_quotes_every=2)
    assert all(frame["u"] % 2 for frame in listen(address, "/ws/solusdt@bookTicker", 40))


def test_the_faults_of_depth_are_read_from_words() -> None:
    words = ["lose_depth_every=5", "snapshot_stale_s=2.5", "snapshot_lacks_every=7", "lose_quotes_every=9"]
    expected = Faults(lose_depth_every=5, snapshot_stale_s=2.5, snapshot_lacks_every=7, lose_quotes_every=9)
    assert parse_faults(words) == expected
