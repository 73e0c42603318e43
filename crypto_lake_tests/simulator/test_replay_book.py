"""The book of a capture: told as it was recorded, and no more than is known of it."""

import gzip
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.tape import Book, DepthEvent

from .clients import Json

SECOND_US, WINDOW_US = 1_000_000, 100_000
E8 = 10**8


def depth(
    first: int, last: int, bids: str, asks: str = "", stream: str = "depth@100ms", symbol: str = "BTCUSDT"
) -> str:
    """An event; levels as `price:qty` words."""
    sides = [[word.split(":") for word in side.split()] for side in (bids, asks)]
    data = {"e": "depthUpdate", "E": last, "s": symbol, "U": first, "u": last, "b": sides[0], "a": sides[1]}
    return json.dumps({"stream": f"{symbol.lower()}@{stream}", "data": data})


def snapshot(last: int, bids: str, asks: str) -> str:
    sides = [[word.split(":") for word in side.split()] for side in (bids, asks)]
    return json.dumps({"lastUpdateId": last, "bids": sides[0], "asks": sides[1]})


def quote(u: int, symbol: str = "BTCUSDT") -> str:
    data = {"u": u, "s": symbol, "b": "1.4", "B": "1", "a": "1.5", "A": "3"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def replay_of(folder: Path, *frames: str) -> Replay:
    """One frame a second, the first at second 1."""
    path = folder / "capture"
    path.write_text("".join(f"{second * 10**9} {frame}\n" for second, frame in enumerate(frames, 1)))
    return Replay(path)


def known(
    replay: Replay, second: float, symbol: str = "BTCUSDT"
) -> tuple[int, dict[float, float], dict[float, float]]:
    book = replay.book(symbol, 100, int(second * SECOND_US))
    assert book
    bids, asks = ({price / E8: qty / E8 for price, qty in side} for side in (book.bids, book.asks))
    return book.update_id, bids, asks


def test_a_snapshot_is_carried_over_the_events_after_it(tmp_path: Path) -> None:
    replay = replay_of(
        tmp_path,
        quote(4),
        depth(5, 8, "1:1"),
        snapshot(6, "1:2 0.9:5", "2:2"),
        depth(9, 9, "0.9:0", "2.1:7"),
    )
    assert replay.book("BTCUSDT", 5, 2 * SECOND_US) is None
    # The exchange's own answer, and what it is carried to.
    assert known(replay, 3) == (6, {1: 2, 0.9: 5}, {2: 2})
    assert known(replay, 3.5) == (8, {1: 1, 0.9: 5}, {2: 2})
    assert known(replay, 4) == (9, {1: 1}, {2: 2, 2.1: 7})
    assert known(replay, 3.5) == (8, {1: 1, 0.9: 5}, {2: 2})


def test_after_a_break_no_level_is_known_until_the_next_snapshot_which_is_waited_for(tmp_path: Path) -> None:
    replay = replay_of(
        tmp_path,
        quote(3),
        depth(5, 6, "1:1"),
        snapshot(5, "1:2", "2:2"),
        depth(9, 9, "1:5"),
        quote(9),
        snapshot(9, "1:4", "2:3"),
        depth(10, 12, "1:6"),
    )
    assert known(replay, 3)[0] == 5
    assert known(replay, 3.5)[0] == 6
    assert [replay.book("BTCUSDT", 5, second * SECOND_US) for second in (4, 5)] == [None, None]
    assert [replay.book_due_us("BTCUSDT", second * SECOND_US) for second in (3, 4, 6)] == [
        second * SECOND_US for second in (3, 6, 6)
    ]
    assert known(replay, 6) == (9, {1: 4}, {2: 3})
    assert known(replay, 7) == (12, {1: 6}, {2: 3})


def test_without_depth_the_newest_quote_is_the_book_and_no_event_is_told(tmp_path: Path) -> None:
    replay = replay_of(tmp_path, quote(4), quote(8))
    assert known(replay, 2) == (8, {1.4: 1}, {1.5: 3})
    assert replay.book("BTCUSDT", 5, 0) is None
    assert list(replay.depth("BTCUSDT", 0, 10**12, WINDOW_US)) == []


def test_a_snapshot_belongs_to_the_symbol_whose_events_carry_it(tmp_path: Path) -> None:
    replay = replay_of(
        tmp_path,
        depth(5, 8, "1:1"),
        depth(5000, 5001, "7:1", symbol="ETHUSDT"),
        snapshot(4999, "8:1", "9:1"),
        quote(9),
        quote(5002, "ETHUSDT"),
    )
    assert known(replay, 3.5, "ETHUSDT") == (5001, {8: 1, 7: 1}, {9: 1})
    assert replay.book("BTCUSDT", 5, 3 * SECOND_US) is None


def test_events_of_a_second_are_those_of_a_tenth_put_together_where_only_these_were_recorded(
    tmp_path: Path,
) -> None:
    replay = replay_of(
        tmp_path,
        depth(1, 300, "1:1 2:2"),
        depth(301, 600, "2:3"),
        depth(700, 900, "3:4"),
        depth(901, 1100, "4:5"),
    )
    events = list(replay.depth("BTCUSDT", 0, 10**12, SECOND_US))
    assert [(event.first_id, event.last_id) for event in events] == [(1, 600), (700, 900), (901, 1100)]
    assert events[0].bids == ((2 * E8, 3 * E8), (E8, E8))


def test_where_only_events_of_a_second_were_recorded_they_are_told(tmp_path: Path) -> None:
    replay = replay_of(tmp_path, depth(1, 300, "1:1", stream="depth"), depth(301, 600, "2:3", stream="depth"))
    assert len(list(replay.depth("BTCUSDT", 0, 10**12, WINDOW_US))) == 2


def test_levels_that_are_none_are_named(tmp_path: Path) -> None:
    frame = '{"stream":"x@depth","data":{"e":"depthUpdate","E":1,"s":"X","U":1,"u":2,"b":[["1"]],"a":[]}}'
    with pytest.raises(ValueError, match=r"capture:1: not a line of a capture"):
        replay_of(tmp_path, frame)


def recorded(data: Path) -> list[Json]:
    lines: list[Json] = []
    for name in ("btcusdt_20240808.gz", "btcusdt_20240809.gz"):
        with gzip.open(data / "capture" / name, "rt") as texts:
            lines += [line.split(" ", 1)[1].strip() for line in texts]
    return lines


def test_the_captures_depth_is_served_as_recorded(replay: Replay, data: Path) -> None:
    texts = [line for line in recorded(data) if "@depth@100ms" in line]
    events: list[DepthEvent] = list(replay.depth("BTCUSDT", 0, replay.end_us + 1, WINDOW_US))
    assert len(events) == len(texts) == 6495
    assert all(then.first_id == first.last_id + 1 for first, then in pairwise(events))
    for text, event in list(zip(texts, events, strict=True))[::50]:
        assert wire.wrapped("btcusdt@depth@100ms", wire.depth_payload("BTCUSDT", event, 1000)) == text


def test_the_captures_book_is_its_snapshot_carried_over_its_events(replay: Replay, data: Path) -> None:
    frames = [json.loads(line) for line in recorded(data) if "depthUpdate" in line or "lastUpdateId" in line]
    (first,) = (frame for frame in frames if "lastUpdateId" in frame)
    sides = {
        side: {Decimal(p): Decimal(q) for p, q in first[name]}
        for side, name in (("b", "bids"), ("a", "asks"))
    }
    last = first["lastUpdateId"]
    for event in (frame["data"] for frame in frames if "data" in frame):
        if event["u"] > last:
            for side, levels in sides.items():
                levels |= {Decimal(price): Decimal(qty) for price, qty in event[side]}
            last = event["u"]
    bids, asks = ({p: q for p, q in sides[side].items() if q} for side in "ba")
    expected = Book(
        last,
        tuple((int(p * E8), int(bids[p] * E8)) for p in sorted(bids, reverse=True)[:1000]),
        tuple((int(p * E8), int(asks[p] * E8)) for p in sorted(asks)[:1000]),
    )
    assert replay.book("BTCUSDT", 1000, replay.end_us) == expected
