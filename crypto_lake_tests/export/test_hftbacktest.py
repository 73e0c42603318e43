"""Events for hftbacktest: value for value those of the ticks, in the order of either clock, the book that of quotes."""

import errno
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.export import hftbacktest, local
from crypto_lake.raw.lines import QUOTE, TRADE, Stream
from crypto_lake.series import Series
from crypto_lake_tests.raw_lines import DAY, SYMBOL

Duck = duckdb.DuckDBPyConnection
# Written down from its documentation, not taken from the code under test.
DEPTH, TRADED, EXCH, LOCAL, BUY, SELL = 1, 2, 1 << 31, 1 << 30, 1 << 29, 1 << 28
BOTH = EXCH | LOCAL


@pytest.fixture
def events(duck: Duck, day: Series, tmp_path: Path) -> Any:  # noqa: ANN401 - a structured array
    (path,) = hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path)
    assert path == tmp_path / f"binance_{SYMBOL}_{DAY}.npz"
    return np.load(path)["data"]


def ticks(duck: Duck, series: Series, stream: Stream, columns: str) -> list[tuple[Any, ...]]:
    path = series.layout.ticks("binance", SYMBOL, stream.table, DAY)
    times = "epoch_us(ts_event) * 1000, epoch_us(ts_recv) * 1000"
    return duck.execute(f"SELECT {times}, {columns} FROM {parquet.scan([path])} ORDER BY id").fetchall()


def of_exchange(events: Any) -> Any:  # noqa: ANN401
    return events[(events["ev"] & EXCH) != 0]


def test_a_row_has_the_documented_layout(events: Any) -> None:  # noqa: ANN401
    assert events.dtype.itemsize == 64
    names = ["ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval"]
    assert [(name, events.dtype.fields[name][1]) for name in names] == [
        (name, 8 * place) for place, name in enumerate(names)
    ]


def test_the_events_of_each_reader_are_in_the_order_of_its_clock(events: Any) -> None:  # noqa: ANN401
    for bit, time in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        times = events[time][(events["ev"] & bit) != 0]
        assert (np.diff(times) >= 0).all()
    both = (events["ev"] & BOTH) == BOTH
    assert 0 < both.sum() < len(events)
    assert (events["local_ts"] >= events["exch_ts"]).all()


def test_both_readers_meet_the_same_events(events: Any) -> None:  # noqa: ANN401
    def plain(bit: int) -> list[tuple[Any, ...]]:
        some = events[(events["ev"] & bit) != 0]
        return sorted((int(row["ev"]) & ~BOTH, *row.tolist()[1:]) for row in some)

    assert plain(EXCH) == plain(LOCAL)


def test_trades_are_those_of_the_ticks_value_for_value(duck: Duck, day: Series, events: Any) -> None:  # noqa: ANN401
    found = [row for row in of_exchange(events) if row["ev"] & 0xFF == TRADED]
    wanted = ticks(duck, day, TRADE, "price::DOUBLE, qty::DOUBLE, side, id")
    assert [
        (row["exch_ts"], row["px"], row["qty"], bool(row["ev"] & BUY), bool(row["ev"] & SELL))
        for row in found
    ] == [(at, price, qty, side == "buy", side == "sell") for at, _, price, qty, side, _ in wanted]
    # By the clock that was 1.95 s behind at the least, all but those that were fetched later.
    shifts = {
        int(row["local_ts"]) - recv
        for row, (_, recv, *_, n) in zip(found, wanted, strict=True)
        if n not in {40, 41, 42}
    }
    assert shifts == {1_950_000_000}


def test_a_trade_that_was_fetched_later_came_like_the_others_and_not_the_day_after(events: Any) -> None:  # noqa: ANN401
    trades = [row for row in of_exchange(events) if row["ev"] & 0xFF == TRADED]
    late = [
        int(row["local_ts"] - row["exch_ts"]) for row in trades if row["px"] == 191.5 and row["qty"] == 0.5
    ]
    # The median of the others: 150 ms, by a clock that is taken to be 50 ms less behind than it was.
    assert late == [100_000_000] * 3


def test_the_book_that_they_make_is_that_of_the_newest_quote(duck: Duck, day: Series, events: Any) -> None:  # noqa: ANN401
    quotes = ticks(duck, day, QUOTE, "bid::DOUBLE, bid_qty::DOUBLE, ask::DOUBLE, ask_qty::DOUBLE")
    depth = [row for row in of_exchange(events) if row["ev"] & 0xFF == DEPTH]
    book: dict[int, dict[float, float]] = {BUY: {}, SELL: {}}
    at = 0
    for time in sorted({quote[0] for quote in quotes}):
        while at < len(depth) and depth[at]["exch_ts"] <= time:
            levels = book[BUY if depth[at]["ev"] & BUY else SELL]
            levels[depth[at]["px"]] = depth[at]["qty"]
            book = {side: {px: qty for px, qty in levels.items() if qty} for side, levels in book.items()}
            at += 1
        *_, bid, bid_qty, ask, ask_qty = [quote for quote in quotes if quote[0] == time][-1]
        assert book == {BUY: {bid: bid_qty}, SELL: {ask: ask_qty}}


def test_the_same_day_gives_the_same_events(duck: Duck, day: Series, events: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (again,) = hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path / "again")
    assert np.load(again)["data"].tobytes() == events.tobytes()


def test_a_day_without_ticks_is_one_clear_line(duck: Duck, series: Series) -> None:
    with pytest.raises(
        LakeError, match="expected the ticks of a finished day, which crypto-lake compact --date makes"
    ):
        local.of(duck, series, DAY)


def test_a_folder_that_cannot_be_made_is_one_clear_line_and_the_next_day_is_written(
    duck: Duck, day: Series, tmp_path: Path
) -> None:
    (tmp_path / "exports").write_bytes(b"no folder")
    with pytest.raises(LakeError, match=r"exports.*: cannot be written: "):
        hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path / "exports")
    assert len(hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path)) == 1


def test_a_disk_that_is_full_half_way_is_one_clear_line_and_leaves_nothing(
    duck: Duck, day: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile.ZipFile, "open", _failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(LakeError, match=r"cannot be written: .*No space left"):
        hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path / "full")
    assert list((tmp_path / "full").iterdir()) == []


def test_whoever_interrupts_it_is_told_so(
    duck: Duck, day: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", _failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        hftbacktest.write(duck, local.of(duck, day, DAY), tmp_path)


def _failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
