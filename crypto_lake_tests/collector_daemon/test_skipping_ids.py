"""Trades are told apart by ids that rise and skip."""

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.ids import REMEMBER_SEC, Conflict, Jump, Odd
from collector_daemon.decide.skipping_ids import SkippingIds
from crypto_lake.raw.lines import TradeLine

SYMBOL = "SOLUSDT"


def line(number: int, ts_event: int, price: str = "1.0") -> TradeLine:
    return TradeLine(SYMBOL, ts_event, ts_event, number, price, "2.0", "buy", None, None, None, None)


def skipping() -> tuple[SkippingIds, list[Odd]]:
    told: list[Odd] = []
    return SkippingIds(SYMBOL, "trade", told), told


def forget_all(ids: SkippingIds, since: float = 0.0) -> None:
    """Let so much time pass that nothing that came is remembered."""
    for round_ in range(3):
        ids.tick(since + round_ * REMEMBER_SEC)


@given(st.data())
def test_of_two_connections_each_trade_with_a_rising_id_is_kept_once(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 10**9), max_size=40, unique=True).map(sorted))
    both = [iter(numbers), iter(numbers)]
    ids, told = skipping()
    kept = []
    for which in data.draw(st.permutations([0] * len(numbers) + [1] * len(numbers))):
        number = next(both[which])
        kept += [number] if ids.accept(line(number, number)) else []
    assert (sorted(kept), told, ids.overdue(9.0, 0.0)) == (numbers, [], [])


def test_a_trade_that_only_the_slower_connection_brings_is_kept() -> None:
    ids, told = skipping()
    assert [ids.accept(line(number, number)) for number in (5, 20, 12, 5, 12, 20)] == [True] * 3 + [False] * 3
    assert not told


def test_trades_sent_again_at_each_subscription_are_copies_however_old() -> None:
    ids, told = skipping()
    for number in (5, 9, 14):
        ids.accept(line(number, number))
    forget_all(ids)
    assert [ids.accept(line(number, number)) for number in (5, 9, 14, 20)] == [False, False, False, True]
    assert not told


def test_a_rising_id_with_other_contents_is_kept_and_told() -> None:
    ids, told = skipping()
    ids.accept(line(5, 50))
    assert [ids.accept(line(5, 50, "1.5")), ids.accept(line(5, 50, "1.5"))] == [True, False]
    assert told == [Conflict(line(5, 50), line(5, 50, "1.5"))]


def test_an_exchange_whose_rising_ids_begin_anew_is_not_silenced_and_its_late_copies_are_copies() -> None:
    ids, told = skipping()
    ids.accept(line(1_000, 10))
    forget_all(ids)
    ids.accept(line(1_003, 20))
    anew = [line(number, 30 + number) for number in (1, 4, 6)]
    assert [ids.accept(one) for one in anew] == [True, True, True]
    assert not ids.accept(line(1_003, 20))
    assert told == [Jump(SYMBOL, "trade", 1, 1_004)]
    forget_all(ids, since=100.0)
    assert [ids.accept(one) for one in (*anew, line(8, 99))] == [False, False, False, True]
    assert len(told) == 1


def test_one_absurd_rising_id_hides_none_of_those_after_it() -> None:
    ids, told = skipping()
    ids.accept(line(1 << 62, 10))
    forget_all(ids)
    assert [ids.accept(line(number, number)) for number in (20, 30, 40)] == [True, True, True]
    assert len(told) == 1


def test_rising_ids_that_begin_anew_after_a_trade_from_tomorrow_lose_no_trade() -> None:
    ids, told = skipping()
    assert all(ids.accept(line(1_000 + number, number)) for number in range(20))
    assert ids.accept(line(1_020, 10**12))
    forget_all(ids)
    assert all(ids.accept(line(1 + number, 30 + number)) for number in range(20))
    assert told == [Jump(SYMBOL, "trade", 1, 1_021)]
    assert not ids.accept(line(1_020, 10**12))
