"""A day at a glance: the picture, the last minutes, what is missing."""

from xml.etree import ElementTree as ET

import dagster as dg
import duckdb
import msgspec

from crypto_lake.defs import metadata
from crypto_lake.pages import preview
from crypto_lake.pages.preview import Column, Lacking, Preview
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, land, sealed, trade

MINUTE = 60 * SECOND


def seen(series: Series, duck: duckdb.DuckDBPyConnection) -> Preview:
    bars.build_day(duck, series, DAY, LATER)
    (found,) = preview.of_day(duck, Series.recorded(series.config), DAY, 1)
    return found


def paths(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return [path.get("d") or "" for path in root.iter("{http://www.w3.org/2000/svg}path")]


def test_a_day_without_bars_has_no_preview(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    assert preview.of_day(duck, Series.recorded(series.config), DAY, 1) == []


def test_gaps_are_stretches_and_missing_trades_are_missing_numbers(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    lines = [trade(n, START + n * HOUR) for n in (1, 2, 5, 6)]
    path = land(series.config, lines)
    listened = [(START, START + 3 * HOUR), (START + 4 * HOUR, START + 30 * HOUR)]
    bars_journal = series.layout.journal("binance", DAY)
    bars_journal.parent.mkdir(parents=True)
    bars_journal.write_bytes(msgspec.json.encode(sealed(path, lines, listened)) + b"\n")
    bars.build_day(duck, series, DAY, LATER)
    assert preview.lacking(duck, [series], DAY) == (1, 2)


def test_a_page_and_a_preview_count_no_jump_as_missing_trades(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    ids = [1, 2, 5, 1_000_000, 1_000_001, (1 << 63) - 1, 1_000_003, 0]
    land(series.config, [trade(n, START + at * 1_000_000) for at, n in enumerate(ids)])
    bars.build_day(duck, series, DAY, LATER)
    assert preview.lacking(duck, [series], DAY).trades_missing == 2


def test_the_last_minutes_come_newest_first(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    land(series.config, [trade(n, START + 24 * HOUR - n * MINUTE, price=str(100 - n)) for n in (2, 1)])
    minutes = seen(series, duck).minutes
    assert [(row["minute"], row["close"], row["trades"]) for row in minutes[:2]] == [
        ("23:59", 99.0, 1),
        ("23:58", 98.0, 1),
    ]
    assert len(minutes) == 10


def test_the_picture_begins_where_somebody_first_listened(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    land(series.config, [trade(1, START + 12 * HOUR), trade(2, START + 13 * HOUR)])
    svg = seen(series, duck).svg
    assert ">12:00:00<" in svg
    assert paths(svg)[1] != ""


def test_a_picture_is_small_whatever_the_day(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    columns = [
        Column(n, START, START + HOUR, 123_456.78901 + n, 123_999.5 + n, 123_777.7 + n, 1e9 * n, n % 2)
        for n in range(96)
    ]
    svg = preview.draw("SOLUSDT", columns)
    assert len(svg) < 6000
    assert paths(svg)[1].count("M") == 48


def test_a_thumbnail_is_so_small_that_dagster_shows_it_at_once(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    """Dagster's UI shows Markdown of less than 1,000 characters as it is, and longer one behind a click."""
    columns = [
        Column(
            n, START, START + 24 * HOUR, 123_456.7 + n % 7, 123_999.5, 123_777.7, 1e9 * (n + 96), n // 4 % 2
        )
        for n in range(96)
    ]
    svg = preview.thumbnail(columns)
    assert 4 / 3 * len(svg) < 940
    assert paths(svg)[1].count("M") == 12


def test_a_picture_of_one_price_or_of_none_is_drawn(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    flat = [Column(0, START, START + HOUR, 5.0, 5.0, 5.0, 0.0, 0.0)]
    never = [Column(0, START, START + HOUR, None, None, None, 0.0, 1.0)]
    assert [len(paths(preview.draw("A<B", columns))) for columns in (flat, never, [])] == [4, 4, 4]
    assert [len(paths(preview.thumbnail(columns))) for columns in (flat, never, [])] == [2, 2, 2]


def test_what_dagster_keeps_of_a_day_stays_small_however_many_symbols_there_are() -> None:
    columns = [
        Column(n, START, START + 24 * HOUR, 123_456.7 + n, 123_999.5, 123_777.7 + n, 1e9 + n, n // 4 % 2)
        for n in range(96)
    ]
    numbers = ("open", "high", "low", "close", "volume_quote", "spread", "trades", "unobserved")
    minutes = [{"symbol": "SOLUSDT", "minute": "23:59", **dict.fromkeys(numbers, 123_456.78)}] * 10
    pictures = preview.draw("SOLUSDT", columns), preview.thumbnail(columns)
    found = metadata.of_previews(
        [Preview(f"COIN{n}USDT", *pictures, minutes) for n in range(30)], Lacking(0, 0)
    )
    event = dg.AssetMaterialization("bars_1s", metadata=found)
    assert 10_000 < len(dg.serialize_value(event)) < 30_000
