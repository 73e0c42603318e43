"""Dagster's side of healing, and the command: what starts a heal, what does not, and what is said of it."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import duckdb
import pytest

from crypto_lake import checks, config, definitions
from crypto_lake.checks import Verdict, on_raw
from crypto_lake.completeness import heal, holes
from crypto_lake.completeness.healed import Healed
from crypto_lake.completeness.holes import Hole
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import healing, launch, metadata
from crypto_lake.defs.resources import RESOURCES
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US
from crypto_lake.operate import jobs
from crypto_lake.pages import validation
from crypto_lake.raw.lines import TradeLine
from crypto_lake.series import Series
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake.transform import bars
from crypto_lake_tests import commands
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, trade
from crypto_lake_tests.recorded_market import (
    MIDNIGHT,
    NEXT,
    OVER,
    QUIET,
    cut,
    daily_bytes,
    record,
    trade_ids,
)

NIGHT = datetime(2025, 10, 21, 0, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def configured(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def lacking(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """A day whose bars show that trades are missing."""
    land(series.config, [trade(1, START + HOUR), trade(5, START + 2 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)


@pytest.fixture
def holed(made: Made, series: Series) -> Series:
    """The day that lacks trades."""
    return made(series, lacking)


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=RESOURCES) as context:
        result = healing.missing_trades(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def test_a_recent_day_with_a_hole_is_requested(instance: dg.DagsterInstance, holed: Series) -> None:
    assert requested(tick(instance)) == [str(DAY)]


def test_a_folder_of_a_day_to_come_hides_no_hole(instance: dg.DagsterInstance, holed: Series) -> None:
    # As a trade with that time makes it: without a segment.
    holed.layout.raw_day("binance", SYMBOL, DAY + timedelta(days=400)).mkdir()
    assert requested(tick(instance)) == [str(DAY)]


def test_a_day_without_a_hole_is_not_requested(
    instance: dg.DagsterInstance, series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    land(series.config, [trade(1, START + HOUR), trade(2, START + 2 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    assert requested(tick(instance)) == []


def test_a_hole_that_bars_yet_to_be_made_may_close_requests_nothing(
    instance: dg.DagsterInstance, holed: Series
) -> None:
    land(holed.config, [trade(n, START + HOUR + n) for n in (2, 3, 4)])
    assert requested(tick(instance)) == []


def test_the_same_hole_is_not_requested_again_soon(instance: dg.DagsterInstance, holed: Series) -> None:
    first = tick(instance)
    assert requested(tick(instance, first.cursor)) == []


def test_another_hole_is_requested_at_once(
    instance: dg.DagsterInstance, holed: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    first = tick(instance)
    land(holed.config, [trade(9, START + 3 * HOUR)])
    bars.build_day(duck, holed, DAY, LATER)
    assert requested(tick(instance, first.cursor)) == [str(DAY)]


def test_a_hole_that_cannot_be_healed_is_tried_six_times_each_after_a_longer_wait(
    instance: dg.DagsterInstance, holed: Series
) -> None:
    waits, cursor = [], None
    for _ in range(10):
        found = tick(instance, cursor)
        state = json.loads(found.cursor or "")[str(DAY)]
        if not requested(found):
            break
        waits.append(state[1])
        # As if the wait were over.
        cursor = json.dumps({str(DAY): [state[0], state[1], 0]})
    assert waits == [1, 2, 3, 4, 5, 6]
    assert healing._next(("x", 1, 0), "x", 5)[2] - 5 == 2 * (healing._next(None, "x", 5)[2] - 5)


def test_while_a_heal_is_under_way_none_is_requested(instance: dg.DagsterInstance, holed: Series) -> None:
    job = definitions.defs.resolve_job_def("heal")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert requested(tick(instance)) == []


def test_trades_healed_since_the_bars_were_made_are_not_asked_for_again(
    instance: dg.DagsterInstance, holed: Series
) -> None:
    first = tick(instance)
    told = metadata.of_heal([Healed(SYMBOL, DAY, fetched=3)])
    healed = dg.AssetMaterialization("healed_trades", partition=str(DAY), metadata=told)
    instance.report_runless_asset_event(healed)
    forgetful = json.dumps(
        {day: [said, tries, 0] for day, (said, tries, _) in json.loads(first.cursor or "").items()}
    )
    waiting = tick(instance, forgetful)
    assert (requested(waiting), waiting.cursor) == ([], forgetful)
    instance.report_runless_asset_event(dg.AssetMaterialization("bars_1s", partition=str(DAY)))
    assert requested(tick(instance, forgetful)) == [str(DAY)]


def test_symbols_that_the_check_of_their_bars_found_whole_are_not_asked_again(
    instance: dg.DagsterInstance,
    holed: Series,
    duck: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[Series]] = []
    find_all = holes.find_all

    def noted(
        connection: duckdb.DuckDBPyConnection, some: list[Series], day: date, now_us: int
    ) -> list[list[Hole]]:
        asked.append(some)
        return find_all(connection, some, day, now_us)

    monkeypatch.setattr(holes, "find_all", noted)
    found_whole = Verdict(checks.TRADE_IDS_CONTIGUOUS, DAY, {SYMBOL: 0, "OTHER": 0})
    validation.enter(duck, holed.config, [holed], "raw_segments", [found_whole], LATER)
    assert requested(tick(instance)) == []
    assert asked[-1] == []
    # As if the bars were made since: by a run that its check will follow, and then by one that is gone.
    os.utime(holed.layout.validation(DAY), ns=(1, 1))
    job, tags = definitions.defs.resolve_job_def("make_bars"), {"dagster/partition": str(DAY)}
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert requested(tick(instance)) == []
    holed.layout.validation(DAY).unlink()
    assert requested(tick(instance)) == []
    instance.report_run_failed(run)
    assert requested(tick(instance)) == [str(DAY)]
    assert [holed] in asked


def test_no_day_before_the_recording_began_is_looked_at(
    instance: dg.DagsterInstance, holed: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[date, int]] = []
    find_all = holes.find_all

    def noted(
        connection: duckdb.DuckDBPyConnection, some: list[Series], day: date, now_us: int
    ) -> list[list[Hole]]:
        asked.append((day, len(some)))
        return find_all(connection, some, day, now_us)

    monkeypatch.setattr(holes, "find_all", noted)
    assert requested(tick(instance)) == [str(DAY)]
    assert asked == [(DAY - timedelta(days=2), 0), (DAY - timedelta(days=1), 0), (DAY, 1)]


def nightly(at: datetime) -> list[str | None]:
    with dg.build_schedule_context(scheduled_execution_time=at, resources=RESOURCES) as context:
        found = healing.heal_nightly(context)
    return [request.partition_key for request in found] if isinstance(found, list) else []


def test_at_night_finished_days_of_the_last_week_with_holes_are_requested(holed: Series) -> None:
    assert nightly(NIGHT) == [str(DAY)]
    assert nightly(NIGHT + timedelta(days=6)) == [str(DAY)]
    assert nightly(NIGHT + timedelta(days=7)) == []


def test_at_night_nothing_is_requested_where_nothing_is_missing(lake: Config) -> None:
    assert nightly(NIGHT) == []


@pytest.fixture(scope="module")
def exchange() -> Iterator[Address]:
    simulated = SimulatedExchange(QUIET, MarketClock(OVER), weight_limit=900_000)
    with running(simulated) as address:
        yield address


def minutes_around_midnight(_: object, series: Series) -> None:
    record(series.config, MIDNIGHT - 3 * MINUTE_US, MIDNIGHT + 3 * MINUTE_US, market=QUIET)
    ids = trade_ids(series.config)
    cut(series.config, {*ids[10:50], *ids[-50:-10]})


@pytest.fixture
def recorded(made: Made, write_config: Callable[..., Path], exchange: Address) -> Config:
    """A few minutes around midnight, of which 40 trades are missing on either side."""
    where = {"rest_url": exchange.rest_url, "wss_url": exchange.ws_url}
    lake = config.load(write_config(exchanges=[{"name": "binance", "symbols": [SYMBOL], **where}]))
    return made(Series(lake, "binance", SYMBOL), minutes_around_midnight).config


def run(instance: dg.DagsterInstance, first: date, last: date) -> dg.ExecuteInProcessResult:
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    job = definitions.defs.resolve_job_def("heal")
    return job.execute_in_process(
        instance=instance, tags=tags, run_config=launch._QUIET, raise_on_error=False
    )


def test_a_run_says_of_each_day_what_it_brought(instance: dg.DagsterInstance, recorded: Config) -> None:
    result = run(instance, DAY, NEXT)
    assert result.success
    key = dg.AssetKey("healed_trades")
    for day in (DAY, NEXT):
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(day)]), limit=1
        ).records
        event = records[0].asset_materialization
        assert event
        found = {
            name: event.metadata[name].value
            for name in ("trades_missing", "trades_fetched", "more_than_max_trades")
        }
        assert found == {"trades_missing": 40, "trades_fetched": 40, "more_than_max_trades": "none"}


@pytest.fixture
def home(tmp_path: Path) -> str:
    """The folder of a Dagster instance."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return str(folder)


def test_the_command_heals_every_day_and_brings_bars_and_daily_files_in_line(
    recorded: Config, duck: duckdb.DuckDBPyConnection, tmp_path: Path, home: str
) -> None:
    assert all(daily_bytes(duck, recorded))
    daily = recorded.layout.daily("binance", SYMBOL, DAY)
    before = daily.read_bytes()
    code, out, _ = commands.run("heal", cwd=tmp_path, DAGSTER_HOME=home)
    assert (code, "No trade is missing." in out, daily.read_bytes() == before) == (0, True, False)
    assert recorded.layout.part_days("binance", SYMBOL) == []


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days of which holes were looked for, each time, to heal them; checks that run with bars do not count."""
    found: list[date] = []
    find = holes.find

    def counted(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> list[Hole]:
        found.append(day)
        return find(connection, series, day, now_us)

    monkeypatch.setattr(holes, "find", counted)
    monkeypatch.setattr(on_raw, "holes", SimpleNamespace(**vars(holes) | {"find": find}))
    return found


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for the Dagster instance of commands that run in this process."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("at_home")
def test_a_round_looks_for_holes_once_and_the_last_one_is_that_which_finds_none(
    recorded: Config, looks: list[date]
) -> None:
    assert jobs.heal(recorded, [DAY, NEXT]) == []
    assert looks == [DAY, NEXT] * 2


@pytest.mark.usefixtures("at_home")
def test_a_round_that_lands_nothing_is_the_last_and_the_exchange_is_asked_once(
    recorded: Config, looks: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def nothing(_: object, __: str, first_id: int, ___: int, ____: int) -> list[TradeLine]:
        asked.append(first_id)
        return []

    monkeypatch.setattr(BinanceRest, "trades_from", nothing)
    missing = jobs.heal(recorded, [DAY, NEXT])
    assert [(one.day, one.trades) for one in missing] == [(DAY, 40), (NEXT, 40)]
    assert looks == [DAY, NEXT]
    assert len(asked) == 2


def test_holes_that_another_run_has_healed_meanwhile_are_not_fetched_again(
    recorded: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    series = Series.recorded(recorded)
    bars.build_all(duck, series, DAY, OVER)
    bars.build_all(duck, series, NEXT, OVER)
    found = {("binance", SYMBOL, DAY): heal.Lack.of(duck, series[0], DAY, OVER)}
    for asked in (1, 0):
        ((_, (done,)),) = heal.heal_days(duck, series, [DAY], lambda: OVER, found)
        assert (done.fetched, done.requests) == (40 * asked, asked)


def test_the_command_says_what_stays_missing_and_why(
    holed: Series,
    write_config: Callable[..., Path],
    exchange: Address,
    tmp_path: Path,
    home: str,
) -> None:
    where = {"rest_url": exchange.rest_url, "wss_url": exchange.ws_url}
    symbols = [{"name": "binance", "symbols": [SYMBOL], **where}]
    write_config(exchanges=symbols, heal={"max_trades": 2})
    code, out, err = commands.run("heal", "--date", str(DAY), cwd=tmp_path, DAGSTER_HOME=home)
    assert code == 1
    assert "more than heal.max_trades (2)" in out
    assert "trades still missing: 3" in err
