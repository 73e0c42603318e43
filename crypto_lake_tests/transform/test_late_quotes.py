"""A quote that came after one with a higher id, over a connection that is behind another, is put before that one."""

from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake.disk import parquet
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, ticks
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
AT = START + 5 * HOUR + 80_000
TRADES = [trade(5, AT - SECOND - 80_000), trade(6, AT + 5 * SECOND - 80_000)]


@pytest.fixture
def other(series: Series, tmp_path: Path) -> Series:
    general = msgspec.structs.replace(series.config.general, base_path=str(tmp_path / "other"))
    return Series(msgspec.structs.replace(series.config, general=general), series.exchange, series.symbol)


def asked(number: int, recv: int) -> RawLine:
    return quote(number, recv, f"{number}.00000000", f"{number + 1}.00000000")


# In order, as a recording without a loss has them; and with three that another connection had brought in part before.
IN_ORDER = [
    asked(100, AT),
    *(asked(number, AT + 990_000) for number in (110, 120, 150)),
    asked(160, AT + 2 * SECOND),
]
LATE = [
    asked(100, AT),
    asked(150, AT + 990_000),
    asked(110, AT + SECOND + 10_000),
    asked(120, AT + SECOND + 20_000),
    asked(160, AT + 2 * SECOND),
]


def recorded(series: Series, quotes: list[RawLine], *, told: bool) -> None:
    """A collector's segment, and its journal."""
    lines = sorted([*quotes, *TRADES], key=lambda line: line.ts_recv)
    path = land(series.config, lines)
    note = JournalWriter(series.layout, "binance")
    if told:
        note.write(journal.Late(at=AT + SECOND + 10_000, symbol=SYMBOL, id=110, after=150))
    note.write(sealed(path, lines, [(START, START + 6 * HOUR)]), DAY)


def quotes_of_bars(duck: Duck, series: Series) -> list[tuple[object, ...]]:
    bars.build_day(duck, series, DAY, LATER)
    scan = parquet.scan(series.layout.bar_files("binance", SYMBOL, DAY))
    columns = "quote_count, bid, ask, bid_qty, ask_qty, spread"
    start = AT - 80_000
    where = f"epoch_us(window_start) BETWEEN {start} AND {start + 8 * SECOND}"
    return duck.execute(f"SELECT {columns} FROM {scan} WHERE {where} ORDER BY window_start").fetchall()


def test_bars_are_those_of_a_recording_in_order(duck: Duck, series: Series, other: Series) -> None:
    recorded(series, LATE, told=True)
    recorded(other, IN_ORDER, told=False)
    assert quotes_of_bars(duck, series) == quotes_of_bars(duck, other)


def test_ticks_are_those_of_a_recording_in_order_but_for_their_receipt(
    duck: Duck, series: Series, other: Series
) -> None:
    recorded(series, LATE, told=True)
    recorded(other, IN_ORDER, told=False)
    found = []
    for one in (series, other):
        ticks.make(duck, one, DAY, LATER)
        scan = parquet.scan([one.layout.ticks("binance", SYMBOL, "quotes", DAY)])
        found.append(duck.execute(f"SELECT * EXCLUDE (ts_recv) FROM {scan}").fetchall())
    assert found[0] == found[1]
    assert len(found[0]) == len(IN_ORDER)


@pytest.mark.parametrize("higher", [50, 500_000])
def test_ids_that_began_anew_or_are_absurd_move_no_quote(
    duck: Duck, series: Series, other: Series, higher: int
) -> None:
    later = AT + (6 if higher == 50 else 1) * SECOND
    quotes = [asked(100 + higher, AT), *(asked(100 + number, later + number) for number in range(3))]
    recorded(series, quotes, told=True)
    recorded(other, quotes, told=False)
    assert quotes_of_bars(duck, series) == quotes_of_bars(duck, other)


def test_a_late_quote_stays_in_its_hour(duck: Duck, series: Series) -> None:
    border = START + 6 * HOUR + 80_000
    recorded(series, [asked(150, border - 10_000), asked(110, border + 10_000)], told=True)
    note = JournalWriter(series.layout, "binance")
    note.write(journal.Late(at=border + 10_000, symbol=SYMBOL, id=110, after=150))
    bars.build_day(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    scan = parquet.scan(series.layout.bar_files("binance", SYMBOL, DAY))
    assert duck.execute(f"SELECT sum(quote_count) FROM {scan}").fetchall() == [(2,)]
