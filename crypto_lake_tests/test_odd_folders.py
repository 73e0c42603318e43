"""A lake works in whatever folder it lies: its name is no pattern, no address, no SQL, no format to anybody."""

import sys
from pathlib import Path

import duckdb
import pytest

from crypto_lake.ask import views
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.pages import day
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, retention, ticks, verify
from crypto_lake_tests.collector_daemon.daemon_runs import record, until_landed
from crypto_lake_tests.collector_daemon.fakes import Exchange, quote, says, trade
from crypto_lake_tests.raw_lines import DAY, LATER, SYMBOL

# What Windows allows in a name, and what it does not.
EVERYWHERE = ["a b,é漢(!)&=;@~", "[a]{", "{time}'#%20%$HOME"]
ELSEWHERE = ["?", "a?b=c*", '"\\|', "<b>:\x1b[31m\n"]


@pytest.mark.parametrize("name", EVERYWHERE + ([] if sys.platform == "win32" else ELSEWHERE))
def test_a_lake_works_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    config = record(tmp_path / name / "lake", Exchange(says(trade(1), quote(5), trade(2))), until_landed(3))
    with parquet.connect() as connection:
        series = Series(config, "binance", SYMBOL)
        bars.build_day(connection, series, DAY, LATER)
        daily.compact(connection, series, DAY, LATER)
        ticks.make(connection, series, DAY, LATER)
        retention.apply(connection, Series.recorded(config), LATER)
        assert views.create(connection, config) == []
        assert connection.execute("SELECT sum(trade_count) FROM bars_1m").fetchall() == [(2,)]
        assert connection.execute("SELECT count(*) FROM trades").fetchall() == [(2,)]
    assert [
        damage for damage in verify.damages(config, verify.finished_files(Series.known(config))) if damage
    ] == []
    assert day.write(config, Series.recorded(config), DAY).exists()
    assert views.save(config) == config.layout.database
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert not list(config.layout.base.glob(".*.tmp"))
    assert_opens(config)


def assert_opens(config: Config) -> None:
    """Any client finds the views in `lake.duckdb`, where it can open a file of that name at all."""
    try:
        client = duckdb.connect(str(config.layout.database), read_only=True)
    except duckdb.Error:
        # DuckDB itself takes a question mark for the beginning of options, and a backslash for a slash.
        assert {"?", "\\"} & set(str(config.layout.base))
        return
    with client:
        assert client.execute("SELECT sum(trade_count) FROM bars_1m").fetchall() == [(2,)]
