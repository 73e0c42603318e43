"""A fleet in a folder: what it is laid out as, what is refused, and with which words."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dagster._core.instance import InstanceRef
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

from crypto_lake import config as configuration
from crypto_lake.defs.fleet import FleetLauncher
from crypto_lake_tests.disk import s3
from deploy.local import plan as plans
from deploy.local import servers, supervisor
from deploy.local.__main__ import main
from deploy.local.plan import Plan
from deploy.local.program import FleetError

if sys.platform == "win32":
    pytest.skip("a fleet on this machine wants POSIX's sessions", allow_module_level=True)

# Dagster's own, of a run of a day and a shard.
SHARD_TAG = "dagster/partition/shard"
UNKNOWN = s3.Fault(403, "InvalidAccessKeyId")
WANTED = {"collectors": 2, "workers": 2, "shards": None, "store": "ceph"}


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def made(folder: Path, config_file: Path | None = None) -> Plan:
    return plans.make(folder, config_file, dict(WANTED), 1)


def test_each_host_has_the_configuration_that_was_given_with_what_is_its_own(
    folder: Path, write_config: Callable[..., Path]
) -> None:
    given = write_config(collector={"write_interval_sec": 7, "metrics_port": 9000}, cluster={"shards": 5})
    plan = made(folder, given)
    hosts = {name: configuration.load(plans.config_of(folder, name)) for name in ("collector-b", "worker-1")}
    assert plan.shards == 5
    assert {one.cluster.shards for one in hosts.values()} == {5}
    assert {one.exchanges[0].rest_url for one in hosts.values()} == {"http://127.0.0.1:1/api/v3"}
    collector = hosts["collector-b"].collector
    assert (collector.name, collector.write_interval_sec, collector.metrics_port) == ("b", 7, 9001)


def test_no_secret_is_in_a_configuration_or_readable_by_others(folder: Path) -> None:
    plan = made(folder)
    for path in (*folder.rglob("*.yml"), *folder.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in (plan.password, plan.secret, plan.key)), path
    assert folder.stat().st_mode & 0o077 == 0


def test_the_settings_of_a_fleet_are_such_as_dagster_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = made(folder)
    for name, value in plan.environment(folder).items():
        monkeypatch.setenv(name, value)
    ref = InstanceRef.from_dir(str(folder / "dagster"))
    assert isinstance(ref.run_launcher, FleetLauncher)
    assert isinstance(ref.run_coordinator, QueuedRunCoordinator)
    limits = ref.run_coordinator.get_run_queue_config()
    assert limits.max_concurrent_runs == 8
    assert limits.tag_concurrency_limits == [
        {"key": SHARD_TAG, "limit": 2, "value": {"applyLimitPerUniqueValue": True}}
    ]


def test_fleet_json_says_what_there_is_and_how_to_ask_it(folder: Path) -> None:
    plan = made(folder)
    there = {"name": "worker-1", "pid": 5, "log": "x", "base_path": "y", "began": 1.0}
    told = json.loads(supervisor.described(folder, plan, [there]))
    assert told["processes"] == [{"name": "worker-1", "pid": 5, "log": "x", "base_path": "y"}]
    assert (told["store"], told["web"]) == ("s3://lake", plan.web)
    assert told["environment"]["DAGSTER_HOME"] == str(folder / "dagster")
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= told["environment"].keys()
    assert configuration.load(Path(told["config"])).cluster.shards == 3


def test_a_folder_has_the_processes_of_a_fleet(folder: Path) -> None:
    plan = made(folder)
    names = [one.name for one in plans.storage(plan, folder)[:2]]
    names += [one.name for one in plans.programs(plan, folder) if not one.name.startswith("ship")]
    assert names == [
        *("postgres", "redis", "exchange", "collector-a", "collector-b"),
        *("code-server", "daemon", "webserver", "worker-1", "worker-2"),
    ]


def test_what_is_not_installed_is_told_in_one_line_with_its_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "find", lambda program: None if program in {"radosgw", "initdb"} else "x")
    result = typed("up", "--folder", folder)
    assert (result.exit_code, result.output) == (
        1,
        "Error: not installed: initdb (Debian: postgresql), radosgw (Debian: radosgw)\n",
    )
    assert not folder.exists()


def test_a_gateway_that_listens_before_it_knows_its_user_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_AGAIN_SEC", 0)
    refusals = [UNKNOWN] * 5
    with s3.running() as (store, address):
        store.fault = lambda *_: refusals.pop() if refusals else None
        servers.make_bucket(address, "key", "secret")
        assert (refusals, store.asked[-1]) == ([], ("PUT", ""))


def test_a_gateway_that_makes_no_bucket_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_BUCKET_SEC", 0)
    with s3.running() as (store, address):
        store.fault = lambda *_: UNKNOWN
        with pytest.raises(FleetError, match=f"{address}: no bucket lake: ") as said:
            servers.make_bucket(address, "key", "secret")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "3"], "--workers 3: the fleet in {folder} has 2; expected that, or a new folder"),
        (
            ["--store", "folder"],
            "--store folder: the fleet in {folder} has ceph; expected that, or a new folder",
        ),
    ],
)
def test_another_fleet_in_the_same_folder_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr(servers, "missing", lambda _: [])
    made(folder)
    result = typed("up", "--folder", folder, *words)
    assert (result.exit_code, result.output) == (1, f"Error: {said.format(folder=folder)}\n")


def test_a_second_start_of_a_running_fleet_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    monkeypatch.setattr(supervisor, "left", lambda _: (os.getpid(), []))
    result = typed("up", "--folder", folder)
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {folder}: a fleet is running there; expected none, see `down`\n",
    )


def test_a_configuration_that_is_wrong_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "missing", lambda _: [])
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("exchanges: []\n", encoding="utf-8")
    result = typed("up", "--folder", folder, "--config", wrong)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "exchanges" in result.output
    assert len(result.output.splitlines()) == 1


def test_down_of_a_folder_without_a_fleet_is_done(folder: Path) -> None:
    assert (typed("down", "--folder", folder).exit_code, folder.exists()) == (0, False)


@pytest.mark.parametrize("word", ["stop", "start", "restart"])
def test_a_process_of_no_running_fleet_is_told(folder: Path, word: str) -> None:
    result = typed(word, "--folder", folder, "worker-1")
    assert (result.exit_code, result.output) == (1, f"Error: {folder}: no fleet is running there\n")
