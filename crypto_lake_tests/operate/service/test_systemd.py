"""systemd's units: accepted by systemd itself, and saying what they should."""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from crypto_lake.operate.service import plan, systemd
from crypto_lake.operate.service.plan import Machine, Unit
from crypto_lake_tests.operate.service.machines import POSIX_NAMES, posix

TOOL = shutil.which("systemd-analyze")


def units(where: Machine) -> dict[str, Unit]:
    return {unit.name: unit for unit in systemd.recipe(where, plan.EVERY).units}


def lines(where: Machine, name: str, key: str) -> list[str]:
    text = units(where)[f"crypto-lake-{name}"].content.decode()
    return re.findall(f"^{key}=(.*)$", text, re.MULTILINE)


def unquoted(line: str) -> list[str]:
    """By the rules of systemd.syntax(7) for the words that we write: all quoted."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    assert all("%" not in word.replace("%%", "") for word in words)
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%") for word in words]


@pytest.mark.skipif(TOOL is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("number", range(len(POSIX_NAMES)))
def test_systemd_has_nothing_to_say_against_any_unit(tmp_path: Path, number: int, *, system: bool) -> None:
    folder = tmp_path / POSIX_NAMES[number].lstrip("/")
    (folder / "venv").mkdir(parents=True)
    (folder / "venv" / "python3").symlink_to(sys.executable)
    where = posix(str(folder), system=system)
    found = units(where._replace(environment={"DAGSTER_HOME": str(folder)}, user="root"))
    for unit in found.values():
        (tmp_path / unit.name).write_bytes(unit.content)
    scope = [] if system else ["--user"]
    done = subprocess.run(
        [str(TOOL), *scope, "--man=no", "verify", *(str(tmp_path / name) for name in found)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert [line for line in done.stderr.splitlines() if "crypto-lake" in line or str(tmp_path) in line] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", POSIX_NAMES)
def test_a_path_comes_back_whole_from_every_setting(folder: str) -> None:
    where = posix(folder, system=True)._replace(environment={"DAGSTER_HOME": folder})
    (start,) = lines(where, "collector.service", "ExecStart")
    assert start.startswith(":")
    *shell, program, module, name, what, option, config = unquoted(start)
    assert shell in ([], ["/bin/sh", "-c", 'exec "$0" "$@"'])
    assert [module, name, what, option] == ["-m", "crypto_lake", "collector", "--config"]
    assert (program, config) == tuple(
        str(PurePosixPath(folder) / one) for one in ("venv/python3", "config.yml")
    )
    assert [unquoted(one) for one in lines(where, "collector.service", "Environment")] == [
        [f"DAGSTER_HOME={folder}"]
    ]
    written = [unquoted(one) for one in lines(where, "collector.service", "ReadWritePaths")]
    assert written == [[str(path)] for path in where.writes]
    assert lines(where, "collector.service", "WorkingDirectory") == [folder.replace("%", "%%")]


def test_a_program_whose_name_systemd_refuses_is_started_by_a_shell() -> None:
    (start,) = lines(posix("/srv/it's"), "collector.service", "ExecStart")
    assert unquoted(start)[:4] == ["/bin/sh", "-c", 'exec "$0" "$@"', "/srv/it's/venv/python3"]


def test_a_collector_is_started_again_whenever_it_ends() -> None:
    assert lines(posix(), "collector.service", "Restart") == ["always"]
    assert lines(posix(), "collector.service", "StartLimitIntervalSec") == ["0"]


def test_the_night_goes_on_whatever_came_of_the_step_before() -> None:
    found = lines(posix(), "nightly.service", "ExecStart")
    assert [line.startswith("-") for line in found] == [True, True, False]
    assert [unquoted(line)[3] for line in found] == ["heal", "compact", "validate"]


def test_timers_fire_each_five_minutes_and_half_an_hour_after_midnight_utc() -> None:
    assert lines(posix(), "transformer.timer", "OnCalendar") == ["*:0/5"]
    assert lines(posix(), "nightly.timer", "OnCalendar") == ["*-*-* 00:30:00 UTC"]
    assert lines(posix(), "nightly.timer", "Persistent") == ["true"]


def test_the_machine_s_services_may_write_to_the_lake_alone_and_are_a_user_s() -> None:
    where = posix(system=True)
    assert lines(where, "collector.service", "ProtectSystem") == ["strict"]
    assert lines(where, "collector.service", "User") == ["me"]
    assert lines(where, "collector.service", "WantedBy") == ["multi-user.target"]


def test_a_user_s_services_ask_for_nothing_that_needs_privileges() -> None:
    for key in ("ProtectSystem", "PrivateTmp", "CapabilityBoundingSet", "User"):
        assert lines(posix(), "collector.service", key) == []
    assert lines(posix(), "collector.service", "NoNewPrivileges") == ["yes"]


def test_a_service_with_a_timer_is_started_by_it_alone() -> None:
    found = units(posix())
    assert found["crypto-lake-transformer.service"].starting == ()
    assert found["crypto-lake-transformer.timer"].starting == (
        ["systemctl", "--user", "enable", "--now", "crypto-lake-transformer.timer"],
    )


@pytest.mark.parametrize(
    ("system", "folder"), [(True, "/etc/systemd/system"), (False, "/home/me/.config/systemd/user")]
)
def test_units_lie_where_systemd_looks(folder: str, *, system: bool) -> None:
    assert {str(unit.path.parent) for unit in units(posix(system=system)).values()} == {folder}
