"""A fleet under fire: two collectors, three shards, two workers and Ceph, and a machine without any of it as a control.

It wants PostgreSQL, Redis and Ceph, which `.ci/run` installs; where they are not there it is left out.
"""

import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.execution.backfill import BulkActionStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from crypto_lake import clock
from crypto_lake.layout import MINUTE_US, day_start_us
from deploy.local import servers
from deploy.local.outside import Fleet, run
from deploy.local.program import free_ports

# The shards of these are 0, 1 and 2 of three.
SYMBOLS = ["BTCUSDT", "SUIUSDT", "SOLUSDT"]
SPEED = 30
# So long it takes until all is up, or less.
UP_SEC = 60
# For slow cores too; all of the test takes less.
_MOST_SEC = 400
_LACKING = servers.missing("ceph") if sys.platform != "win32" else ["POSIX"]

pytestmark = [
    pytest.mark.waits,
    pytest.mark.fleet,
    pytest.mark.skipif(bool(_LACKING), reason=f"a fleet wants what is not installed: {', '.join(_LACKING)}"),
]


def until(holds: Callable[[], Any], what: str, seconds: float = _MOST_SEC) -> Any:  # noqa: ANN401 - as `holds`
    """Wait for something, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.3)
    pytest.fail(f"not within {seconds} s: {what}")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Path]:
    """The bundled exchange, whose midnight comes a while after all is up; the configuration to record it with."""
    began = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=UP_SEC)
    market = datetime.combine(began.date() - timedelta(days=7), dt.time(23, 30), UTC)
    (port,) = free_ports(1)
    when = {name: f"{at:%Y-%m-%dT%H:%M:%S}Z" for name, at in (("start", market), ("began", began))}
    words = [
        sys.executable,
        "-m",
        "crypto_lake.simulator",
        "--port",
        str(port),
        "--symbols",
        ",".join(SYMBOLS),
    ]
    words += ["--speed", str(SPEED), "--start", when["start"], "--began", when["began"]]
    at = f"127.0.0.1:{port}"
    source = {
        "name": "binance",
        "symbols": SYMBOLS,
        "rest_url": f"http://{at}/api/v3",
        "wss_url": f"ws://{at}/ws",
    }
    path = tmp_path / "given.yml"
    settings = {
        "exchanges": [source],
        "collector": {"write_interval_sec": 30},
        "clock": {"began": when["began"], "market": when["start"], "speed": SPEED},
        "checks": {"max_clock_offset_sec": 60, "max_clock_drift_sec": 60},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        yield path
        process.terminate()


@pytest.fixture
def fleet(tmp_path: Path, exchange: Path) -> Iterator[Fleet]:
    folder = tmp_path / "F"
    words = ["--folder", str(folder), "--config", str(exchange), "--shards", "3"]
    try:
        assert run([sys.executable, "-m", "deploy.local", "up", *words]).splitlines()[-1] == "ready"
        yield Fleet(folder)
    finally:
        run([sys.executable, "-m", "deploy.local", "down", "--folder", str(folder)])


@pytest.fixture
def instance(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name, value in fleet.told["environment"].items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as found:
        yield found


def worker_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    launcher: Any = instance.run_launcher
    task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
    info = launcher.celery.AsyncResult(task).info if task else None
    return str(info["hostname"]).partition("@")[0] if isinstance(info, dict) else None


def started_on(instance: dg.DagsterInstance, worker: str) -> dg.DagsterRun | None:
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return next((one for one in runs if worker_of(instance, one) == worker), None)


def begun_again(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun | None:
    retries = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}))
    begun = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS}
    return next((one for one in retries if one.status in begun), None)


def done(instance: dg.DagsterInstance, backfill: str) -> bool:
    """Return whether a backfill is through; one whose runs failed is told."""
    found = instance.get_backfill(backfill)
    status = found.status if found else None
    assert status not in {BulkActionStatus.FAILED, BulkActionStatus.COMPLETED_FAILED}, found
    return status == BulkActionStatus.COMPLETED_SUCCESS


def is_all_shipped(fleet: Fleet) -> bool:
    """Return whether the collectors, none of which runs any more, have sealed everything, and the store has it."""
    found = {
        path.relative_to(host).as_posix()
        for host in (fleet.folder / "hosts").glob("collector-*")
        for path in host.glob("raw/*/*/*/part_*")
    }
    return found <= fleet.stored("raw")


def test_whatever_dies_the_files_are_those_of_one_machine_that_lost_nothing(
    fleet: Fleet, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    began = fleet.config.clock.market
    assert began
    day = began.date()
    keys = [f"{day}|{shard}" for shard in range(3)]
    midnight = day_start_us(day + timedelta(days=1))

    def market_is_at(us: int) -> None:
        until(lambda: clock.now_us(fleet.config) >= us, "market time")

    # In mid-day one collector dies for good, and a worker in the middle of a run.
    market_is_at(midnight - 12 * MINUTE_US)
    fleet.kill("collector-b")
    market_is_at(midnight - 8 * MINUTE_US)
    fleet.backfill(["bars_1s"], keys)
    hit = until(lambda: started_on(instance, "worker-1"), "a run on the first worker")
    fleet.kill("worker-1")
    again = until(lambda: begun_again(instance, hit), "the run begun again", 60)
    assert worker_of(instance, again) == "worker-2"
    # Redis and PostgreSQL begin anew, and the store is away for a while. Copies may be removed at any time.
    for name in ("redis", "postgres"):
        fleet.local("restart", name)
    fleet.local("stop", "store")
    time.sleep(10)
    fleet.local("start", "store")
    fleet.local("start", "worker-1")
    # The worker may be writing there at this moment.
    shutil.rmtree(fleet.folder / "hosts" / "worker-2", ignore_errors=True)
    market_is_at(midnight + 5 * MINUTE_US)
    fleet.local("stop", "collector-a")
    until(lambda: is_all_shipped(fleet), "all shipped")
    asked = fleet.backfill(["bars_1s", "daily_bars", "ticks"], keys)
    until(lambda: done(instance, asked), "daily files and ticks")
    fleet.command("pull", "--date", str(day))
    control = control_of(fleet, tmp_path, day)
    expected = files_of_day(control, day)
    assert len(expected) == len(SYMBOLS) * 4
    assert files_of_day(fleet.config.layout.base, day) == expected


def control_of(fleet: Fleet, tmp_path: Path, day: date) -> Path:
    """One machine, without a store, that is given every raw file that either collector landed."""
    base = tmp_path / "control"
    for letter in "ab":
        shutil.copytree(
            fleet.folder / "hosts" / f"collector-{letter}" / "raw", base / "raw", dirs_exist_ok=True
        )
    tree = yaml.safe_load(Path(fleet.told["config"]).read_text(encoding="utf-8"))
    tree["general"]["base_path"] = str(base)
    del tree["store"], tree["cluster"]
    path = tmp_path / "control.yml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    home = tmp_path / "control-dagster"
    home.mkdir()
    own = {"DAGSTER_HOME": str(home)}
    run([sys.executable, "-m", "crypto_lake", "compact", "--date", str(day), "--config", str(path)], own)
    return base


def files_of_day(base: Path, day: date) -> dict[str, str]:
    """The daily, minute and tick files of a day, by path, with their digests."""
    return {
        path.relative_to(base).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in ("parquet", "bars", "ticks")
        for path in sorted((base / room).rglob(f"{day}.parquet"))
    }
