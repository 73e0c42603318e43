"""launchd's property lists, read back by the standard library."""

import plistlib
import shlex
from pathlib import PurePosixPath
from typing import Any

import pytest

from crypto_lake.operate.service import launchd, plan
from crypto_lake.operate.service.plan import Machine
from crypto_lake_tests.operate.service.machines import POSIX_NAMES, posix


def properties(where: Machine, name: str) -> dict[str, Any]:
    (unit,) = (unit for unit in launchd.recipe(where, plan.EVERY).units if unit.name == f"crypto-lake.{name}")
    found: dict[str, Any] = plistlib.loads(unit.content)
    return found


@pytest.mark.parametrize("folder", POSIX_NAMES)
def test_a_path_comes_back_whole(folder: str) -> None:
    found = properties(posix(folder)._replace(environment={"DAGSTER_HOME": folder}), "collector")
    python, config = (str(PurePosixPath(folder) / name) for name in ("venv/python3", "config.yml"))
    assert found["ProgramArguments"] == [python, "-m", "crypto_lake", "collector", "--config", config]
    assert found["EnvironmentVariables"] == {"DAGSTER_HOME": folder}
    assert found["WorkingDirectory"] == folder


@pytest.mark.parametrize("folder", POSIX_NAMES)
def test_the_night_is_three_commands_of_a_shell_in_order(folder: str) -> None:
    shell, option, line = properties(posix(folder), "nightly")["ProgramArguments"]
    assert (shell, option) == ("/bin/sh", "-c")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    words = list(lexer)
    assert [words[n] for n in (3, 10, 17)] == ["heal", "compact", "validate"]
    assert {words[n] for n in (5, 12, 19)} == {str(PurePosixPath(folder) / "config.yml")}


def test_a_collector_runs_at_once_and_is_kept_alive() -> None:
    found = properties(posix(), "collector")
    assert (found["RunAtLoad"], found["KeepAlive"]) == (True, True)


def test_a_transformer_runs_each_five_minutes_and_the_night_once_a_day() -> None:
    assert properties(posix(), "transformer")["StartInterval"] == 300
    assert properties(posix(), "nightly")["StartCalendarInterval"] == {"Hour": 2, "Minute": 30}


@pytest.mark.parametrize(
    ("system", "folder", "domain"),
    [(True, "/Library/LaunchDaemons", "system"), (False, "/home/me/Library/LaunchAgents", "gui/501")],
)
def test_agents_are_a_session_s_and_daemons_the_machine_s(folder: str, domain: str, *, system: bool) -> None:
    (unit,) = launchd.recipe(posix(system=system), plan.TOGETHER).units
    path = f"{folder}/crypto-lake.up.plist"
    assert str(unit.path) == path
    assert unit.starting == (["launchctl", "bootstrap", domain, path],)
    assert unit.removing == (["launchctl", "bootout", f"{domain}/crypto-lake.up"],)


def test_a_daemon_runs_as_the_user() -> None:
    assert properties(posix(system=True), "collector")["UserName"] == "me"
    assert "UserName" not in properties(posix(), "collector")
