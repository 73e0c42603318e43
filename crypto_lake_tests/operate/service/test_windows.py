"""Task Scheduler's documents: valid by the schema, and saying what they should."""

import ctypes
import sys
import xml.etree.ElementTree as ET
from pathlib import Path, PureWindowsPath

import pytest
import xmlschema

from crypto_lake.operate.service import plan, windows
from crypto_lake.operate.service.plan import COLLECTOR, EVERY, NIGHTLY, TRANSFORMER, UP, Job, Machine
from crypto_lake_tests.operate.service.machines import WINDOWS_NAMES
from crypto_lake_tests.operate.service.machines import windows as machine

SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(__file__).with_name("task.xsd")))


def task(where: Machine, job: Job) -> ET.Element:
    return ET.fromstring(windows.document(where, job))  # noqa: S314 - ours


def texts(where: Machine, job: Job, name: str) -> list[str]:
    return [found.text or "" for found in task(where, job).iter(SPACE + name)]


def split(arguments: str) -> list[str]:
    """By the rules of Microsoft's C runtime, as CommandLineToArgvW: quotes, and backslashes before them."""
    words: list[str] = []
    word, quoted, begun, at = "", False, False, 0
    while at < len(arguments):
        slashes = len(arguments[at:]) - len(arguments[at:].lstrip("\\"))
        at += slashes
        here = arguments[at : at + 1]
        word += "\\" * (slashes // 2 if here == '"' else slashes)
        begun = begun or slashes > 0
        if here == '"' and slashes % 2:
            word += here
        elif here == '"':
            quoted, begun = not quoted, True
        elif here in {" ", "\t"} and not quoted:
            words, word, begun = words + [word] * begun, "", False
        else:
            word, begun = word + here, begun or bool(here)
        at += 1
    return words + [word] * begun


@pytest.mark.parametrize("job", EVERY, ids=lambda job: job.name)
@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("folder", WINDOWS_NAMES)
def test_a_document_is_valid_by_the_schema(
    schema: xmlschema.XMLSchema, job: Job, folder: str, *, system: bool
) -> None:
    where = machine(folder, system=system)._replace(environment={"DAGSTER_HOME": folder})
    schema.validate(task(where, job))


def test_the_schema_refuses_elements_out_of_order(schema: xmlschema.XMLSchema) -> None:
    wrong = task(machine(), TRANSFORMER)
    trigger = wrong.find(f"{SPACE}Triggers/{SPACE}TimeTrigger")
    assert trigger is not None
    trigger[:] = trigger[::-1]
    assert not schema.is_valid(wrong)


def test_a_document_is_utf_16_with_its_mark() -> None:
    document = windows.document(machine(), COLLECTOR)
    assert document[:2] in {b"\xff\xfe", b"\xfe\xff"}
    assert document.decode("utf-16").startswith('<?xml version="1.0" encoding="UTF-16"?>')


@pytest.mark.parametrize("folder", WINDOWS_NAMES)
def test_a_path_comes_back_whole_from_the_command_line(folder: str) -> None:
    (arguments,) = texts(machine(folder), COLLECTOR, "Arguments")
    config = str(PureWindowsPath(folder) / "config.yml")
    assert split(arguments) == ["-m", "crypto_lake", "collector", "--config", config]
    assert texts(machine(folder), COLLECTOR, "WorkingDirectory") == [folder]


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own splitting of a command line is Windows'")
def test_the_splitting_of_these_tests_is_windows_own() -> None:
    shell = ctypes.WinDLL("shell32")  # type: ignore[attr-defined, unused-ignore]
    shell.CommandLineToArgvW.restype = ctypes.POINTER(ctypes.c_wchar_p)
    for folder in WINDOWS_NAMES:
        (arguments,) = texts(machine(folder), COLLECTOR, "Arguments")
        count = ctypes.c_int()
        found = shell.CommandLineToArgvW(arguments, ctypes.byref(count))
        assert [found[n] for n in range(count.value)] == split(arguments)


def test_no_console_window_opens() -> None:
    assert texts(machine("D:\\lake"), COLLECTOR, "Command") == ["D:\\lake\\venv\\pythonw.exe"]


def test_variables_are_set_before_the_command_runs() -> None:
    where = machine()._replace(environment={"DAGSTER_HOME": 'C:\\it\'s a "home"\\'})
    (arguments,) = texts(where, TRANSFORMER, "Arguments")
    option, code, *words = split(arguments)
    assert (option, words[0]) == ("-c", "transformer")
    said: dict[str, object] = {}

    class Fake:
        environ = said

        @staticmethod
        def run_module(name: str, run_name: str) -> None:
            said["ran"] = (name, run_name)

    exec(code.removeprefix("import os, runpy; "), {"os": Fake, "runpy": Fake})  # noqa: S102
    assert said == {"DAGSTER_HOME": 'C:\\it\'s a "home"\\', "ran": ("crypto_lake", "__main__")}


@pytest.mark.parametrize(("system", "trigger"), [(True, "BootTrigger"), (False, "LogonTrigger")])
@pytest.mark.parametrize("job", [COLLECTOR, UP], ids=lambda job: job.name)
def test_what_runs_always_starts_with_the_machine_or_the_session(
    job: Job, trigger: str, *, system: bool
) -> None:
    triggers = task(machine(system=system), job).find(f"{SPACE}Triggers")
    assert triggers is not None
    assert [found.tag for found in triggers] == [SPACE + trigger, SPACE + "TimeTrigger"]


@pytest.mark.parametrize(("job", "interval"), [(COLLECTOR, "PT1M"), (TRANSFORMER, "PT5M")])
def test_a_task_is_started_again_and_again(job: Job, interval: str) -> None:
    repetition = task(machine(), job).find(f".//{SPACE}TimeTrigger/{SPACE}Repetition")
    assert repetition is not None
    assert [(found.tag, found.text) for found in repetition] == [(SPACE + "Interval", interval)]


def test_the_night_begins_half_an_hour_after_midnight_utc() -> None:
    assert texts(machine(), NIGHTLY, "StartBoundary") == ["2025-01-01T00:30:00Z"]
    assert texts(machine(), NIGHTLY, "DaysInterval") == ["1"]


def test_the_night_heals_compacts_and_validates_in_this_order() -> None:
    assert [split(one)[2] for one in texts(machine(), NIGHTLY, "Arguments")] == [
        "heal",
        "compact",
        "validate",
    ]


def test_one_instance_runs_on_batteries_too_and_a_collector_without_limit() -> None:
    found = {
        name: texts(machine(), COLLECTOR, name)
        for name in ("MultipleInstancesPolicy", "StopIfGoingOnBatteries", "DisallowStartIfOnBatteries")
    }
    assert found == {
        "MultipleInstancesPolicy": ["IgnoreNew"],
        "StopIfGoingOnBatteries": ["false"],
        "DisallowStartIfOnBatteries": ["false"],
    }
    assert texts(machine(), COLLECTOR, "ExecutionTimeLimit") == ["PT0S"]
    assert texts(machine(), TRANSFORMER, "ExecutionTimeLimit") == ["PT2H"]


def test_the_machine_s_tasks_are_the_system_account_s() -> None:
    principal = task(machine(system=True), COLLECTOR).find(f".//{SPACE}Principal")
    assert principal is not None
    assert principal.findtext(f"{SPACE}UserId") == "S-1-5-18"
    assert texts(machine(), COLLECTOR, "UserId") == ["me", "me"]


def test_tasks_are_registered_by_name_and_the_collector_is_started_at_once() -> None:
    first, second, third = windows.recipe(machine(), plan.APART).units
    path = "C:\\Users\\me\\AppData\\Local\\crypto-lake\\service\\collector.xml"
    assert first.starting == (
        ["schtasks", "/Create", "/XML", path, "/TN", "\\crypto-lake\\collector", "/F"],
        ["schtasks", "/Run", "/TN", "\\crypto-lake\\collector"],
    )
    assert [len(unit.starting) for unit in (second, third)] == [1, 1]
    assert first.removing[-1] == ["schtasks", "/Delete", "/TN", "\\crypto-lake\\collector", "/F"]


def test_the_machine_s_documents_lie_in_program_data() -> None:
    (unit,) = windows.recipe(machine(system=True), plan.TOGETHER).units
    assert str(unit.path) == "C:\\ProgramData\\crypto-lake\\service\\up.xml"
