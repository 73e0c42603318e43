"""Bars are made again where something changed, and only there; what is damaged or lost is made anew."""

from datetime import timedelta
from pathlib import Path

import pytest

from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, trade
from crypto_lake_tests.transform.test_bars import Duck, build, one_trade, read


def one_trade_compacted(duck: Duck, series: Series) -> None:
    """The same in a daily file."""
    one_trade(duck, series)
    assert daily.compact(duck, series, DAY, LATER)


def contents(series: Series) -> dict[str, tuple[int, bytes]]:
    return {
        p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in series.layout.parts("binance", SYMBOL, DAY)
    }


def test_a_second_run_writes_nothing(duck: Duck, made: Made, series: Series) -> None:
    made(series, one_trade)
    before = contents(series)
    again = build(duck, series)
    assert (again.rebuilt, again.unchanged, contents(series)) == ([], 24, before)


def test_a_late_segment_rebuilds_its_hour_and_those_to_which_other_values_are_carried(
    duck: Duck, series: Series
) -> None:
    land(series.config, [trade(1, START + HOUR), trade(5, START + 5 * HOUR)])
    build(duck, series)
    land(series.config, [trade(3, START + 3 * HOUR + 1800 * SECOND, "77")])
    assert build(duck, series).rebuilt == [3, 4, 5]


def test_a_late_segment_that_changes_no_carried_value_rebuilds_its_hour_alone(
    duck: Duck, series: Series
) -> None:
    land(series.config, [trade(1, START + HOUR), trade(5, START + 3 * HOUR + 1900 * SECOND)])
    build(duck, series)
    land(series.config, [trade(3, START + 3 * HOUR + 1800 * SECOND, "77")])
    assert build(duck, series).rebuilt == [3]


def test_a_day_is_stale_exactly_as_long_as_a_run_would_change_it(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR)])
    assert plan.stale_days(duck, series, [DAY], LATER) == [DAY]
    build(duck, series)
    assert plan.stale_days(duck, series, [DAY], LATER) == []
    land(series.config, [trade(2, START + 2 * HOUR)])
    assert plan.is_stale(duck, series, DAY, LATER)


def test_another_version_of_the_transform_rebuilds_everything(
    duck: Duck, made: Made, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(series, one_trade)
    monkeypatch.setattr(plan, "TRANSFORM_VERSION", 999)
    assert build(duck, series).rebuilt == list(range(24))


def test_raw_files_that_were_removed_after_the_fact_leave_the_bars_alone(duck: Duck, series: Series) -> None:
    path = land(series.config, [trade(1, START + HOUR)])
    build(duck, series)
    before = contents(series)
    path.unlink()
    assert build(duck, series).rebuilt == []
    assert contents(series) == before


def test_a_disk_that_refuses_leaves_the_part_that_was_there(
    duck: Duck, made: Made, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(series, one_trade)
    before = contents(series)

    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "sync_file", refuse)
    land(series.config, [trade(2, START + 2 * HOUR)])
    with pytest.raises(LakeError, match="No space left"):
        build(duck, series)
    assert contents(series) == before
    assert list(series.layout.parts_day("binance", SYMBOL, DAY).glob(".*")) == []


def test_a_daily_file_that_was_lost_is_made_anew_though_its_manifest_is_there(
    duck: Duck, made: Made, series: Series
) -> None:
    made(series, one_trade_compacted)
    path = series.layout.daily("binance", SYMBOL, DAY)
    for damage in (lambda: path.write_bytes(b""), path.unlink):
        damage()
        assert plan.is_stale(duck, series, DAY, LATER)
    assert build(duck, series).rebuilt == list(range(24))


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"made_from": {"x": 1}}'])
def test_a_manifest_that_cannot_be_understood_counts_as_none(
    duck: Duck, made: Made, series: Series, content: bytes
) -> None:
    made(series, one_trade_compacted)
    series.layout.manifest(series.layout.daily("binance", SYMBOL, DAY)).write_bytes(content)
    assert build(duck, series).rebuilt == list(range(24))


def test_values_are_carried_from_a_day_whose_manifest_was_lost(duck: Duck, series: Series) -> None:
    tomorrow = DAY + timedelta(days=1)
    land(series.config, [trade(1, START + HOUR, "5.5")])
    land(series.config, [trade(2, START + 30 * HOUR)], tomorrow)
    build(duck, series)
    done = daily.compact(duck, series, DAY, LATER)
    assert done
    series.layout.manifest(done.path).unlink()
    bars.build_day(duck, series, tomorrow, LATER)
    assert read(duck, series, tomorrow)[0]["close"] == 5.5
