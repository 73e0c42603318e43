"""Installing and removing, with a system that records what it is asked, and refuses on request."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto_lake.errors import LakeError
from crypto_lake.operate.service import launchd, plan, setup, systemd, windows
from crypto_lake.operate.service.plan import Machine, Recipe
from crypto_lake_tests.operate.service.machines import posix


class System:
    """Says yes to every call but those that hold a word of `refused`; forgets what it is told to after `late` looks."""

    def __init__(self, *refused: str, late: int = 0) -> None:
        self.calls: list[list[str]] = []
        self.refused = set(refused)
        self.late = late
        self.looks = 0

    def __call__(self, words: list[str]) -> tuple[int, str]:
        self.calls.append(words)
        if {"print", "/Query"} & set(words):
            self.looks += 1
            return (1, "") if self.looks > self.late else (0, "")
        return (1, "Access denied") if self.refused & set(words) else (0, "")

    def sleep(self, seconds: float) -> None:
        self.calls.append(["sleep", str(seconds)])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return posix(str(tmp_path / "lake"), tmp_path / "home")._replace(writes=(), python=Path(sys.executable))


def apart(machine: Machine) -> Recipe:
    return systemd.recipe(machine, plan.APART)


def every(machine: Machine) -> Recipe:
    return systemd.recipe(machine, plan.EVERY)


def files(machine: Machine) -> set[str]:
    return {path.name for path in Path(machine.home).rglob("*") if path.is_file()}


def test_an_install_writes_the_files_and_then_starts_what_they_say(machine: Machine) -> None:
    system = System()
    setup.install(apart(machine), every(machine), machine, system)
    assert files(machine) == {unit.name for unit in apart(machine).units}
    enabling = ["systemctl", "--user", "enable", "--now"]
    assert system.calls == [
        ["systemctl", "--user", "daemon-reload"],
        [*enabling, "crypto-lake-collector.service"],
        [*enabling, "crypto-lake-transformer.timer"],
        [*enabling, "crypto-lake-nightly.timer"],
    ]


@pytest.mark.parametrize(
    "refused", ["daemon-reload", "crypto-lake-collector.service", "crypto-lake-nightly.timer"]
)
def test_an_install_that_is_refused_leaves_nothing_behind(machine: Machine, refused: str) -> None:
    with pytest.raises(LakeError, match=r"^systemctl --user .*exit code 1: Access denied$"):
        setup.install(apart(machine), every(machine), machine, System(refused))
    assert files(machine) == set()


def test_an_install_that_is_refused_leaves_no_folder_either(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "home" / ".config").mkdir(parents=True)
    there = machine._replace(writes=(tmp_path / "disk" / "lake",), user=getpass.getuser())
    with pytest.raises(LakeError, match="Access denied"):
        setup.install(apart(there), every(there), there, System("daemon-reload"))
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "home", tmp_path / "home" / ".config"]


def test_a_file_that_cannot_be_written_is_one_line_and_nothing_is_left(machine: Machine) -> None:
    Path(machine.home).write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(LakeError, match="nothing was installed"):
        setup.install(apart(machine), every(machine), machine, System())


def test_an_install_replaces_the_other_kind_of_install(machine: Machine) -> None:
    setup.install(apart(machine), every(machine), machine, System())
    system = System()
    setup.install(systemd.recipe(machine, plan.TOGETHER), every(machine), machine, system)
    assert files(machine) == {"crypto-lake-up.service"}
    assert ["systemctl", "--user", "disable", "--now", "crypto-lake-collector.service"] in system.calls


def test_an_install_over_the_same_is_the_same(machine: Machine) -> None:
    setup.install(apart(machine), every(machine), machine, System())
    setup.install(apart(machine), every(machine), machine, System())
    assert files(machine) == {unit.name for unit in apart(machine).units}


def test_the_folders_that_a_confined_service_writes_to_are_made(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "lake" / "data"
    there = machine._replace(writes=(folder,), user=getpass.getuser())
    setup.install(apart(there), every(there), there, System())
    assert folder.is_dir()


def test_a_removal_stops_what_is_there_and_takes_its_files_away(machine: Machine) -> None:
    setup.install(apart(machine), every(machine), machine, System())
    system = System()
    gone = setup.remove(every(machine), system)
    assert [unit.name for unit in gone] == [unit.name for unit in apart(machine).units]
    assert files(machine) == set()
    assert system.calls[-1] == ["systemctl", "--user", "daemon-reload"]


def test_a_second_removal_finds_nothing_and_asks_nothing(machine: Machine) -> None:
    system = System("disable")
    assert setup.remove(every(machine), system) == []
    assert system.calls == []


def test_a_removal_that_is_refused_leaves_the_files_for_another_try(machine: Machine) -> None:
    setup.install(apart(machine), every(machine), machine, System())
    with pytest.raises(LakeError, match="Access denied"):
        setup.remove(every(machine), System("disable"))
    assert files(machine) == {unit.name for unit in apart(machine).units}


def installed(machine: Machine, write: Callable[[Machine, tuple[plan.Job, ...]], Recipe]) -> Recipe:
    recipe = write(machine, plan.TOGETHER)._replace(python=Path(sys.executable))
    setup.install(recipe, recipe, machine, System())
    return recipe


def test_what_the_system_knows_nothing_of_any_more_is_taken_away_all_the_same(machine: Machine) -> None:
    assert len(setup.remove(installed(machine, launchd.recipe), System("bootout"))) == 1
    assert files(machine) == set()


def test_what_the_system_refuses_to_let_go_of_stays(machine: Machine) -> None:
    recipe, system = installed(machine, launchd.recipe), System("bootout", late=9)
    with pytest.raises(LakeError, match=r"bootout .*: Access denied"):
        setup.remove(recipe, system, system.sleep)
    assert files(machine) == {"crypto-lake.up.plist"}


def test_a_removal_waits_until_the_system_has_let_go(machine: Machine) -> None:
    recipe, system = installed(machine, launchd.recipe), System(late=2)
    setup.remove(recipe, system, system.sleep)
    assert [words[0] for words in system.calls] == [
        "launchctl",
        "launchctl",
        "sleep",
        "launchctl",
        "sleep",
        "launchctl",
    ]


def test_a_removal_that_never_ends_is_given_up(machine: Machine) -> None:
    recipe, system = installed(machine, launchd.recipe), System(late=10_000)
    with pytest.raises(LakeError, match="it is still there"):
        setup.remove(recipe, system, system.sleep)


def test_a_task_is_ended_before_it_is_deleted_though_it_may_not_run(machine: Machine) -> None:
    recipe, system = installed(machine, windows.recipe), System("/End")
    assert len(setup.remove(recipe, system)) == 1
    assert [words[1] for words in system.calls] == ["/End", "/Delete", "/Query"]


def test_an_interpreter_that_is_not_there_is_one_line_and_nothing_is_touched(machine: Machine) -> None:
    with pytest.raises(LakeError, match=r"pythonw\.exe: not found"):
        setup.install(windows.recipe(machine, plan.APART), every(machine), machine, System())
    assert files(machine) == set()


def test_a_tool_that_is_not_there_is_one_line() -> None:
    with pytest.raises(LakeError, match="no-such-tool: not found"):
        setup.call(["no-such-tool"])
