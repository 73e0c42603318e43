"""What is no raw line is refused with its file's name, and so is a second run at once; no other symbol waits for it."""

from typing import Any

import msgspec
import pytest

from crypto_lake.disk import locks
from crypto_lake.errors import LakeBusyError, RawDataError
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake.transform.bars import PartlyBuiltError
from crypto_lake.transform.workspace import locked
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, spoil, trade
from crypto_lake_tests.transform.test_bars import Duck, build, read


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbol": "ADAUSDT"},
        {"ts_event": START // 1000},
        {"ts_event": None},
        {"stream": "kline"},
        {"price": None},
        {"ts_recv": 5},
    ],
    ids=str,
)
def test_lines_that_do_not_belong_are_refused_with_the_files_name(
    duck: Duck, series: Series, wrong: dict[str, Any]
) -> None:
    line = trade(1, START + HOUR)
    path = land(series.config, [line])
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(line) | wrong) + b"\n")
    with pytest.raises(RawDataError, match=rf"{path.name}: 1 of 1 lines"):
        build(duck, series)


def test_a_symbol_whose_files_cannot_be_read_keeps_no_other_from_its_bars(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bad = series.layout.segment("binance", "ADAUSDT", DAY, 1)
    bad.parent.mkdir(parents=True)
    spoil(bad)
    with pytest.raises(RawDataError, match="ADAUSDT"):
        bars.build_all(duck, Series.recorded(series.config), DAY, LATER)
    assert len(read(duck, series)) == 86400


def test_a_line_that_is_no_raw_line_is_named_with_its_file(duck: Duck, series: Series) -> None:
    path = land(series.config, [trade(1, START + HOUR)])
    path.write_bytes(path.read_bytes() + b'{"stream":"tra\n')
    with pytest.raises(RawDataError, match=path.name):
        build(duck, series)


def test_two_runs_do_not_work_on_one_symbol_at_once(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE_SEC", 0.01)
    land(series.config, [trade(1, START + HOUR)])
    with locked(series), pytest.raises(LakeBusyError, match=r"binance-SOLUSDT\.lock"):
        build(duck, series)


def test_a_folder_where_a_part_belongs_is_one_line_in_each_run_and_keeps_no_other_hour(
    duck: Duck, series: Series
) -> None:
    land(series.config, [trade(1, START + HOUR)])
    part = series.layout.part("binance", SYMBOL, DAY, 23)
    part.mkdir(parents=True)
    for rebuilt in (list(range(23)), []):
        with pytest.raises(PartlyBuiltError, match="folder") as said:
            bars.build_day(duck, series, DAY, LATER, with_fit=True)
        assert [one.rebuilt for one in said.value.built] == [rebuilt]
