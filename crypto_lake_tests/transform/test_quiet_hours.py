"""An hour without raw lines becomes the same bytes, whichever of the two statements makes it."""

from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from crypto_lake.raw.journal import Sealed
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars, hours
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
LINES = [trade(1, START + 5 * HOUR), quote(1, START + 5 * HOUR + 80_000)]


def parts(series: Series) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in series.layout.parts("binance", SYMBOL, DAY)}


@pytest.fixture
def listened_to(series: Series) -> Series:
    """An hour with a trade and a quote; hours before and after it, and parts of these, that were listened to."""
    path = land(series.config, LINES)
    writer = JournalWriter(series.layout, "binance")
    writer.write(sealed(path, LINES, [(START + 3 * HOUR + 7 * SECOND, START + 5 * HOUR + 90 * SECOND)]), DAY)
    nothing = dict.fromkeys(("segment", "recv_from", "recv_to", "event_from", "event_to", "offset_us"))
    quiet = [(START + 6 * HOUR + 1, START + 8 * HOUR - 1)]
    writer.write(Sealed(at=LATER, symbol=SYMBOL, lines=0, size=0, listened=quiet, **nothing), DAY)
    return series


@pytest.mark.parametrize("now_us", [LATER, START + 7 * HOUR + 1800 * SECOND], ids=["finished", "in progress"])
@pytest.mark.parametrize("step_sec", [1, 5])
def test_a_quiet_hour_has_the_bytes_that_the_statement_for_raw_lines_makes_of_none(
    duck: Duck,
    listened_to: Series,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    now_us: int,
    step_sec: int,
) -> None:
    transformer = msgspec.structs.replace(listened_to.config.transformer, resample_interval_sec=step_sec)
    config = msgspec.structs.replace(listened_to.config, transformer=transformer)
    series = Series(config, "binance", SYMBOL)
    bars.build_day(duck, series, DAY, now_us)
    quiet = parts(series)
    for path in series.layout.parts("binance", SYMBOL, DAY):
        path.unlink()
    make = hours.make

    def by_raw_lines(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - as `make`
        workspace = given[1]
        monkeypatch.setattr(hours, "_quiet", lambda values: hours._query(workspace, [], values))
        return make(*given, **more)

    monkeypatch.setattr(hours, "make", by_raw_lines)
    bars.build_day(duck, series, DAY, now_us)
    assert len(quiet) >= 8
    assert parts(series) == quiet
