"""What is found out about this machine, and the commands as a person types them."""

import plistlib
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from crypto_lake.errors import ConfigError
from crypto_lake.operate.service import here
from crypto_lake_tests import processes


@pytest.mark.parametrize(
    ("hours", "expected"),
    [((0, 0), (0, 30)), ((1, 2), (2, 30)), ((-5, -4), (20, 30)), ((5.5, 5.5), (6, 0)), ((13, 12), (13, 30))],
)
def test_the_night_begins_after_midnight_utc_in_winter_and_summer(
    hours: tuple[float, float], expected: tuple[int, int]
) -> None:
    assert here.night([timedelta(hours=one) for one in hours]) == expected


def test_variables_that_the_paths_are_made_of_go_with_the_units(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("general: {base_path: '${DISK}/${NAME}'}", encoding="utf-8")
    variables = {"DISK": "D:", "NAME": "lake", "OTHER": "x", "DAGSTER_HOME": "/home"}
    assert here.environment(config, variables) == {"DAGSTER_HOME": "/home", "DISK": "D:", "NAME": "lake"}


def test_a_path_with_a_control_character_is_refused(
    tmp_path: Path, write_config: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match="a control character"):
        here.machine(write_config(), tmp_path / "a\nb", tmp_path, system=False)


def test_the_home_folder_is_refused_where_it_is_another_s(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(general={"base_path": "~/lake"})
    with pytest.raises(ConfigError, match="expected an absolute path for --system"):
        here.machine(config, tmp_path, tmp_path, system=True)
    assert here.machine(config, tmp_path, tmp_path, system=False).config == config


def in_a_unit(path: Path) -> str:
    """As systemd wants it, to which a backslash, of which Windows' paths are full, is a beginning."""
    return str(path).replace("\\", "\\\\")


def service(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    # A home of its own, and no tools: nothing of this machine may be touched.
    around = {name: str(tmp_path / "home") for name in ("HOME", "USERPROFILE", "DAGSTER_HOME")}
    (tmp_path / "home").mkdir(exist_ok=True)
    around |= {"PROGRAMDATA": str(tmp_path / "shared"), "PATH": str(tmp_path)}
    done = processes.run("crypto_lake", "service", *words, cwd=tmp_path, **around)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("system", ["windows", "systemd", "launchd"])
def test_each_file_is_printed_below_its_path(
    write_config: Callable[..., Path], tmp_path: Path, system: str
) -> None:
    config = write_config()
    code, out, _ = service(tmp_path, "print", "--for", system)
    assert code == 0
    headings = [line for line in out.splitlines() if line.startswith(("# ", "<!-- "))]
    assert len(headings) == {"windows": 3, "systemd": 5, "launchd": 3}[system]
    assert (in_a_unit(config) if system == "systemd" else str(config)) in out


def test_one_file_is_printed_as_it_would_lie_on_disk(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config()
    code, out, _ = service(tmp_path, "print", "--for", "launchd", "--up", "--file", "crypto-lake.up.plist")
    assert code == 0
    arguments = plistlib.loads(out.encode())["ProgramArguments"]
    assert arguments == [sys.executable, "-m", "crypto_lake", "up", "--config", str(config)]


@pytest.mark.parametrize(("words", "wanted"), [([], ".dagster"), (["--up"], "")])
def test_the_machine_s_service_may_write_where_dagster_does(
    write_config: Callable[..., Path], tmp_path: Path, words: list[str], wanted: str
) -> None:
    write_config()
    done = processes.run(
        "crypto_lake", "service", "print", "--for", "systemd", "--system", *words, cwd=tmp_path
    )
    assert f'ReadWritePaths="{in_a_unit(tmp_path / wanted)}"' in done.stdout.splitlines()
    assert f'ReadWritePaths="{in_a_unit(tmp_path / "lake")}"' in done.stdout.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]


def test_a_file_that_would_not_be_written_is_exit_code_2(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    write_config()
    code, _, err = service(tmp_path, "print", "--for", "systemd", "--file", "x")
    assert (code, "expected one of crypto-lake-collector.service, " in err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="without a search path Windows still finds its tools")
def test_an_install_without_the_system_s_tool_is_one_line_and_leaves_nothing(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    write_config()
    code, _, err = service(tmp_path, "install")
    assert (code, "not found" in err, len(err.splitlines())) == (1, True, 1)
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("command", ["install", "print", "remove"])
def test_every_command_explains_itself_and_the_two_scopes(tmp_path: Path, command: str) -> None:
    code, out, _ = service(tmp_path, command, "--help")
    assert (code, "--user / --system" in out) == (0, True)


def test_a_removal_of_nothing_says_so(tmp_path: Path) -> None:
    assert service(tmp_path, "remove") == (0, "Nothing to remove: it is not installed.\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="a stand-in for schtasks.exe would have to be a program")
def test_installed_replaced_and_removed_each_told_line_by_line(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    write_config()
    tool = tmp_path / {"systemd": "systemctl", "launchd": "launchctl"}[here.name()]
    # Says yes, but knows of no unit when asked.
    tool.write_text('#!/bin/sh\n[ "$1" != print ]\n', encoding="utf-8")
    tool.chmod(0o755)

    def present() -> list[str]:
        return sorted(path.name for path in (tmp_path / "home").rglob("crypto-lake*"))

    code, out, _ = service(tmp_path, "install")
    first, told = present(), [line for line in out.splitlines() if line.startswith("installed: ")]
    assert (code, sorted(Path(line).name for line in told)) == (0, first)
    # The jobs may not be allowed to put it there themselves.
    assert (tmp_path / "home" / "dagster.yaml").is_file()
    assert "to look at it: " in out
    assert out.endswith("to remove it: crypto-lake service remove\n")
    assert service(tmp_path, "install", "--up")[0] == 0
    assert len(present()) == 1
    assert set(present()).isdisjoint(first)
    code, out, _ = service(tmp_path, "remove")
    assert (code, out.count("removed: "), present()) == (0, 1, [])
