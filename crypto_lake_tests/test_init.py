"""`crypto-lake init`: a folder from which every command works, and the Dagster instance that lies in it."""

import contextlib
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import dagster as dg
import pytest
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.instance import InstanceRef
from filelock import FileLock, Timeout

from crypto_lake import config, dagster_home, definitions, starter
from crypto_lake.defs import history, launch
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.operate.up import supervisor
from crypto_lake_tests import commands, processes
from crypto_lake_tests.raw_lines import DAY, HOUR, START, land, trade

ROOT = Path(__file__).resolve().parent.parent
FILES = ["README.md", "config.yml", "dagster.yaml", "workspace.yaml"]


def crypto_lake(*words: str, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """How `crypto-lake …` goes, within this process."""
    return CompletedProcess(words, *commands.run(*words, cwd=cwd, **environment))


def make_bars(lake: config.Config, monkeypatch: pytest.MonkeyPatch, home: Path | None = None) -> None:
    """What `crypto-lake transformer` does, in this process."""
    land(lake, [trade(1, START + HOUR)])
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, str(lake.layout.base.parent / "config.yml"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if home:
        monkeypatch.setenv("DAGSTER_HOME", str(home))
    launch.execute(definitions.defs, "make_bars", [DAY])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def jobs_that_dagster_dev_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs in the instance that a `dagster dev` started in the folder uses, oldest first."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with (
        contextlib.chdir(folder),
        get_possibly_temporary_instance_for_cli("dagster dev", logger=logging.getLogger("test")) as found,
    ):
        return [run.job_name for run in reversed(found.get_runs())]


@pytest.mark.parametrize("name", ["config.yml", "dagster.yaml", "workspace.yaml"])
def test_the_checkout_is_such_a_folder(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == starter.text(name)


def test_a_folder_that_is_not_there_is_made_with_four_files(tmp_path: Path) -> None:
    done = processes.run("crypto_lake", "init", "Mein Läke/tief", cwd=tmp_path)
    folder = tmp_path / "Mein Läke" / "tief"
    assert (done.returncode, done.stderr, names(folder)) == (0, "", FILES)
    assert [line for line in done.stdout.splitlines() if line.startswith("made: ")] == [
        f"made: {folder / name}" for name in ("config.yml", "dagster.yaml", "workspace.yaml", "README.md")
    ]
    assert f'cd "{folder}"' in done.stdout
    assert config.load(folder / "config.yml").general.base_path == str(folder / "data")


def test_without_a_name_it_is_the_folder_one_stands_in(tmp_path: Path) -> None:
    assert crypto_lake("init", cwd=tmp_path).returncode == 0
    assert names(tmp_path) == FILES


def test_a_second_init_adds_what_is_missing_and_overwrites_nothing(tmp_path: Path) -> None:
    assert crypto_lake("init", "lake", cwd=tmp_path).returncode == 0
    (tmp_path / "lake" / "workspace.yaml").unlink()
    (tmp_path / "lake" / "config.yml").write_text("mine", encoding="utf-8")
    done = crypto_lake("init", "lake", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "lake" / "config.yml").read_text(encoding="utf-8") == "mine"
    assert f"there already, left as it is: {tmp_path / 'lake' / 'config.yml'}" in done.stdout.splitlines()
    assert f"made: {tmp_path / 'lake' / 'workspace.yaml'}" in done.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_that_leads_nowhere_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.yml").symlink_to(tmp_path / "not mounted" / "config.yml")
    assert crypto_lake("init", cwd=tmp_path).returncode == 0
    assert (tmp_path / "config.yml").is_symlink()


def in_the_way(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("", encoding="utf-8")


def below_a_file(tmp_path: Path) -> None:
    (tmp_path / "above").write_text("", encoding="utf-8")


def a_folder_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake" / "dagster.yaml").mkdir(parents=True)


@pytest.mark.parametrize(
    ("before", "where", "code", "said"),
    [
        (in_the_way, "lake", 2, "lake: is a file; expected a folder, or nothing there yet"),
        (below_a_file, "above/lake", 1, "config.yml: cannot be written: "),
        (a_folder_for_a_file, "lake", 2, "dagster.yaml: is a folder; expected a file"),
        (in_the_way, "a[b]", 2, "[ in the path: Dagster would not find its settings there"),
    ],
)
def test_a_folder_that_cannot_be_is_one_line_and_nothing_is_written(
    tmp_path: Path, before: Callable[[Path], None], where: str, code: int, said: str
) -> None:
    before(tmp_path)
    there = sorted(tmp_path.rglob("*"))
    done = crypto_lake("init", where, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert said in done.stderr
    assert sorted(tmp_path.rglob("*")) == there


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root may write to")
def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path: Path) -> None:
    done = crypto_lake("init", "/proc/self", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "config.yml: cannot be written" in done.stderr


def test_the_commands_work_from_such_a_folder_and_from_anywhere_on_one_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Mein Läke"
    assert crypto_lake("init", str(folder), cwd=tmp_path).returncode == 0
    lake = config.load(folder / "config.yml")
    land(lake, [trade(1, START + HOUR)])
    assert processes.run("crypto_lake", "transformer", "--date", "2025-10-20", cwd=folder).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ("compact", "--date", "2025-10-20", "--config", "../Mein Läke/config.yml")
    code, _, err = commands.run(*words, cwd=elsewhere)
    assert code == 0, err
    assert (names(elsewhere), names(folder)) == (
        [],
        [".dagster", *FILES[:2], "dagster.yaml", "data", FILES[3]],
    )
    assert jobs_that_dagster_dev_shows(folder, monkeypatch) == ["make_bars", "compact"]
    asked = ("query", "--format", "csv", "SELECT sum(trade_count) AS trades FROM bars_1d")
    assert commands.run(*asked, cwd=folder)[1] == "trades\n1\n"


def test_a_configuration_alone_gets_dagsters_settings_beside_it(
    lake: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bars(lake, monkeypatch)
    assert (tmp_path / "dagster.yaml").read_text(encoding="utf-8") == starter.text("dagster.yaml")
    assert jobs_that_dagster_dev_shows(tmp_path, monkeypatch) == ["make_bars"]


def test_a_dagster_home_without_settings_gets_ours_and_keeps_them(
    lake: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    make_bars(lake, monkeypatch, home)
    assert not (tmp_path / "dagster.yaml").exists()
    with dg.DagsterInstance.get() as found:
        assert [run.job_name for run in found.get_runs()] == ["make_bars"]
        assert not found.telemetry_enabled
        limits = found.get_concurrency_config()
    assert limits.run_queue_config is not None
    assert (limits.run_queue_config.max_concurrent_runs, limits.pool_config.default_pool_limit) == (2, 1)


def test_a_dagster_home_with_settings_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert dagster_home.furnished() == tmp_path
    assert (tmp_path / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: true}\n"


def test_paths_in_a_dagster_home_are_relative_to_it_wherever_one_stands(
    lake: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    starter.furnish(home)
    make_bars(lake, monkeypatch, home)
    assert names(tmp_path) == ["config.yml", "home", "lake"]
    assert jobs_that_dagster_dev_shows(home, monkeypatch) == ["make_bars"]


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root may write to")
def test_settings_that_cannot_be_put_where_they_are_missing_are_one_line(
    lake: config.Config, tmp_path: Path
) -> None:
    land(lake, [trade(1, START + HOUR)])
    done = crypto_lake("transformer", cwd=tmp_path, DAGSTER_HOME="/proc/self")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "error: /proc/self/dagster.yaml: cannot be written" in done.stderr


def test_a_folder_in_which_dagster_would_not_find_its_settings_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a[b]"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(ConfigError, match=r"\[ in the path"):
        dagster_home.furnished()
    # The reason: remove all this when Dagster finds them.
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.get() as found:
        assert found.telemetry_enabled


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (b"telemetry: {enabled: [}", "not valid YAML: "),
        (b"\xff\xfe", "not valid YAML: "),
        (b"telemetri: {enabled: false}", 'unexpected config entry "telemetri" at the root'),
        (b"storage: {sqlite: {base_dir: config.yml/storage}}", "cannot be used: "),
    ],
)
def test_settings_that_dagster_does_not_take_are_one_line(
    lake: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: bytes, said: str
) -> None:
    (tmp_path / "dagster.yaml").write_bytes(settings)
    with pytest.raises(ConfigError, match="^" + re.escape(f"{tmp_path / 'dagster.yaml'}: ")) as refused:
        make_bars(lake, monkeypatch)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_home_elsewhere_is_told_of_and_gets_its_settings(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    done = crypto_lake("init", "lake", cwd=tmp_path, DAGSTER_HOME=str(tmp_path / "home"))
    assert (done.returncode, names(tmp_path / "home")) == (0, ["dagster.yaml"])
    assert f"$DAGSTER_HOME is set: Dagster's history lies in {tmp_path / 'home'}" in done.stdout


def test_a_home_that_is_not_there_is_told_before_anything_is_written(tmp_path: Path) -> None:
    done = crypto_lake("init", "lake", cwd=tmp_path, DAGSTER_HOME=str(tmp_path / "nowhere"))
    assert (done.returncode, len(done.stderr.splitlines()), names(tmp_path)) == (2, 1, [])


@pytest.mark.parametrize("made_by", ["init", "hand"])
def test_up_starts_dagster_in_the_folder_of_the_configuration(
    lake: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: str
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if made_by == "init":
        starter.furnish(tmp_path)
    _, dagster = supervisor.programs(lake, tmp_path / "config.yml", "127.0.0.1", 3000)
    assert dagster.folder == tmp_path
    assert (tmp_path / "dagster.yaml").is_file()
    # What it opens is said by `workspace.yaml`, or else by its words.
    assert ("crypto_lake.definitions" in dagster.words) == (made_by == "hand")


def test_where_there_is_no_configuration_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = crypto_lake("status", cwd=tmp_path)
    assert (done.returncode, "`crypto-lake init` makes one" in done.stderr) == (2, True)


def test_installed_as_a_tool_it_says_where_dagster_is(tmp_path: Path) -> None:
    done = crypto_lake("init", cwd=tmp_path, PATH=os.devnull)
    assert f"{sys.executable} -m dagster dev" in done.stdout


def test_a_history_that_is_damaged_is_one_line_which_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "history").mkdir(parents=True)
    (home / "history" / "runs.db").write_bytes(b"no database" * 100)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(LakeError, match="move it away: it begins anew") as refused, launch.instance():
        pass
    assert str(refused.value).startswith(f"{home}: Dagster's history: file is not a database; ")


def test_a_history_that_two_processes_made_at_once_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with launch.instance():
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "schedules" / "schedules.db")) as database:
        before = database.execute("SELECT version_num FROM alembic_version").fetchall()
        with database:
            database.execute("INSERT INTO alembic_version VALUES (?)", [history.STAMPED_WITHOUT_LOOKING])
        with launch.instance() as found:
            assert found.get_runs() == []
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == before


def test_a_history_is_made_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    opened, others = dg.DagsterInstance.from_ref, []

    def watched(ref: InstanceRef) -> dg.DagsterInstance:
        with pytest.raises(Timeout):
            FileLock(dagster_home.opening_lock(tmp_path)).acquire(timeout=0)
        others.append(ref)
        return opened(ref)

    monkeypatch.setattr(dg.DagsterInstance, "from_ref", watched)
    with launch.instance():
        assert len(others) == 1
        FileLock(dagster_home.opening_lock(tmp_path)).acquire(timeout=0).lock.release()
