"""A catalog for NautilusTrader: paths, columns and metadata as it writes them, numbers exact in 1e-16."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.export import local, nautilus
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake.raw.lines import QUOTE, TRADE
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, LATER, SECOND, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection
NAME = f"{SYMBOL}.BINANCE"
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def catalog(duck: Duck, day: Series, tmp_path: Path) -> Path:
    table = {SYMBOL: Instrument(SYMBOL, "TRADING", True, "SOL", "USDT", "0.01000000", "0.00010000")}
    instruments.write(day.layout, "binance", DAY, table)
    nautilus.write(duck, local.of(duck, day, DAY), tmp_path / "catalog")
    return tmp_path / "catalog"


def only(catalog: Path, kind: str) -> Path:
    (path,) = (catalog / "data" / kind / NAME).iterdir()
    return path


def number(raw: bytes) -> Decimal:
    return Decimal(int.from_bytes(raw, "little")) / 10**16


def test_trades_are_those_of_the_ticks_exactly(duck: Duck, day: Series, catalog: Path) -> None:
    rows = pq.read_table(only(catalog, "trade_tick")).to_pylist()
    ticks = parquet.scan([day.layout.ticks("binance", SYMBOL, TRADE.table, DAY)])
    wanted = duck.execute(
        f"SELECT id::VARCHAR, price, qty, side, epoch_us(ts_event) * 1000 FROM {ticks}"
    ).fetchall()
    assert sorted(
        (row["trade_id"], number(row["price"]), number(row["size"]), row["aggressor_side"], row["ts_event"])
        for row in rows
    ) == sorted((n, price, qty, 1 if side == "buy" else 2, at) for n, price, qty, side, at in wanted)


def test_quotes_are_those_of_the_ticks_exactly(duck: Duck, day: Series, catalog: Path) -> None:
    rows = pq.read_table(only(catalog, "quote_tick")).to_pylist()
    ticks = parquet.scan([day.layout.ticks("binance", SYMBOL, QUOTE.table, DAY)])
    wanted = duck.execute(
        f"SELECT bid, ask, bid_qty, ask_qty, epoch_us(ts_event) * 1000 FROM {ticks}"
    ).fetchall()
    names = ("bid_price", "ask_price", "bid_size", "ask_size")
    assert sorted((*(number(row[name]) for name in names), row["ts_event"]) for row in rows) == sorted(wanted)


@pytest.mark.parametrize("kind", ["trade_tick", "quote_tick"])
def test_rows_are_in_order_of_receipt_and_the_name_says_from_when_to_when(catalog: Path, kind: str) -> None:
    path = only(catalog, kind)
    table = pq.read_table(path)
    times = table["ts_init"].to_pylist()
    assert times == sorted(times)
    assert all(at >= happened for at, happened in zip(times, table["ts_event"].to_pylist(), strict=True))
    assert path.name == f"{spelt(times[0])}_{spelt(times[-1])}.parquet"
    assert all(not field.nullable for field in table.schema)


def spelt(ns: int) -> str:
    when = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}-{ns % 10**9:09d}Z"


def test_precision_is_that_of_the_exchanges_steps_and_of_every_number(catalog: Path) -> None:
    metadata: dict[bytes, bytes] = pq.read_schema(only(catalog, "quote_tick")).metadata
    assert {key: metadata[key] for key in (b"instrument_id", b"price_precision", b"size_precision")} == {
        b"instrument_id": NAME.encode(),
        b"price_precision": b"2",
        b"size_precision": b"4",
    }


def test_the_instrument_is_what_the_exchange_lists(catalog: Path) -> None:
    (row,) = pq.read_table(only(catalog, "currency_pair")).to_pylist()
    told: dict[str, Any] = {
        "id": NAME,
        "base_currency": "SOL",
        "quote_currency": "USDT",
        "price_increment": "0.01",
        "size_increment": "0.0001",
    }
    assert {name: row[name] for name in told} == told


def test_a_day_that_is_exported_again_is_there_once(duck: Duck, day: Series, catalog: Path) -> None:
    stale = only(catalog, "trade_tick").with_name(
        f"{DAY}T00-00-00-000000000Z_{DAY}T00-00-01-000000000Z.parquet"
    )
    only(catalog, "trade_tick").rename(stale)
    nautilus.write(duck, local.of(duck, day, DAY), catalog)
    assert only(catalog, "trade_tick") != stale


def around_midnight(duck: Duck, series: Series) -> None:
    """Two days, a trade and a quote each. Those of the first were received on the second, in one read with its own."""
    midnight = START + 86_400 * SECOND
    for day, n, at in ((DAY, 1, midnight - 50_000), (NEXT, 2, midnight + 10_000)):
        received = midnight + 20_000
        lines = [trade(n, at, recv=received), quote(n, received)]
        land(series.config, lines, day)
    for day in (DAY, NEXT):
        bars.build_day(duck, series, day, LATER)
        daily.compact(duck, series, day, LATER)
        ticks.make(duck, series, day, LATER)


@pytest.fixture
def quiet(made: Made, series: Series) -> Series:
    return made(series, around_midnight)


def trade_ids(catalog: Path) -> list[str]:
    files = (catalog / "data" / "trade_tick" / NAME).iterdir()
    return sorted(n for path in files for n in pq.read_table(path)["trade_id"].to_pylist())


@pytest.mark.parametrize("days", [(DAY, NEXT), (NEXT, DAY), (DAY, NEXT, DAY), (NEXT, DAY, NEXT)])
def test_a_day_whose_trades_were_received_the_day_after_stands_beside_that_day(
    duck: Duck, quiet: Series, tmp_path: Path, days: tuple[date, ...]
) -> None:
    for day in days:
        nautilus.write(duck, local.of(duck, quiet, day), tmp_path)
    assert trade_ids(tmp_path) == ["1", "2"]


def test_a_file_that_somebody_joined_of_two_days_is_not_taken_for_an_export_of_one(
    duck: Duck, day: Series, catalog: Path
) -> None:
    others = only(catalog, "trade_tick").with_name(
        f"{DAY}T00-00-00-000000000Z_{NEXT}T23-00-00-000000000Z.parquet"
    )
    table = pq.read_table(only(catalog, "trade_tick"))
    later = pa.array([at + 86_400 * 10**9 for at in table["ts_event"].to_pylist()], pa.uint64())
    both = table.set_column(table.schema.get_field_index("ts_event"), table.schema.field("ts_event"), later)
    pq.write_table(pa.concat_tables([table, both]), others)
    nautilus.write(duck, local.of(duck, day, DAY), catalog)
    assert others.exists()


def test_a_file_in_the_catalog_that_is_damaged_is_one_clear_line_and_nothing_is_changed(
    duck: Duck, day: Series, catalog: Path
) -> None:
    there = only(catalog, "trade_tick")
    before = there.read_bytes()
    bad = there.with_name(f"{NEXT}T00-00-00-000000000Z_{NEXT}T00-00-01-000000000Z.parquet")
    bad.write_bytes(before[:-4])
    with pytest.raises(LakeError, match=f"{bad.name}: cannot be read: .*; remove it and export its day anew"):
        nautilus.write(duck, local.of(duck, day, DAY), catalog)
    assert there.read_bytes() == before


def test_a_file_that_is_being_read_on_windows_is_waited_for(
    duck: Duck, day: Series, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = Path.replace
    refused: list[Path] = []

    def held(self: Path, target: Path) -> Path:
        if target == there and len(refused) < 3:
            refused.append(self)
            raise PermissionError(13, "held by a reader")
        return renamed(self, target)

    there = only(catalog, "trade_tick")
    before = there.read_bytes()
    monkeypatch.setattr(Path, "replace", held)
    nautilus.write(duck, local.of(duck, day, DAY), catalog)
    assert len(refused) == 3
    assert only(catalog, "trade_tick").read_bytes() == before
