"""Task Scheduler: one XML document a job, in UTF-16 as it wants them, registered by `schtasks`.

Elements stand in the order of Microsoft's schema ([MS-TSCH] 2.5). Tasks have no environment of their own, so where
variables are needed a line of Python sets them first.
"""

import subprocess
import xml.etree.ElementTree as ET
from pathlib import PurePath

from crypto_lake.operate.service.plan import Job, Machine, Recipe, Unit, command

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_FOLDER = "\\crypto-lake"
_LOCAL_SYSTEM = "S-1-5-18"
# An instant in the past, in UTC: Task Scheduler counts on from it.
_MIDNIGHT = "2025-01-01T00:00:00Z"
_NIGHT = "2025-01-01T00:30:00Z"
# No limit for what runs always; elsewhere one, since a run that hangs would keep every later one from starting.
_LIMIT = {"always": "PT0S", "often": "PT2H", "nightly": "PT12H"}
_PYTHON_WITH = (
    "import os, runpy; os.environ.update({0!r}); runpy.run_module('crypto_lake', run_name='__main__')"
)


def recipe(machine: Machine, jobs: tuple[Job, ...]) -> Recipe:
    """Return what Task Scheduler needs for the jobs."""
    first = f"{_FOLDER}\\{jobs[0].name}"
    stopping = f"schtasks /Change /TN {first} /DISABLE, then schtasks /End /TN {first}"
    hints = [f"to look at it: schtasks /Query /TN {first} /V /FO LIST", f"to stop it for a while: {stopping}"]
    return Recipe(windowless(machine.python), [_unit(machine, job) for job in jobs], None, hints)


def _unit(machine: Machine, job: Job) -> Unit:
    name = f"{_FOLDER}\\{job.name}"
    base = machine.program_data if machine.system else machine.home / "AppData" / "Local"
    path = base / "crypto-lake" / "service" / f"{job.name}.xml"
    starting = [["schtasks", "/Create", "/XML", str(path), "/TN", name, "/F"]]
    if job.when == "always":
        starting.append(["schtasks", "/Run", "/TN", name])
    return Unit(
        name,
        path,
        document(machine, job),
        tuple(starting),
        # Deleting a task does not end what it started.
        (["schtasks", "/End", "/TN", name], ["schtasks", "/Delete", "/TN", name, "/F"]),
        ["schtasks", "/Query", "/TN", name],
    )


def document(machine: Machine, job: Job) -> bytes:
    """The definition of a task."""
    task = ET.Element("Task", version="1.2", xmlns=_NAMESPACE)
    about = ET.SubElement(task, "RegistrationInfo")
    _put(about, Description=f"Crypto Data Lake: {job.what}", URI=f"{_FOLDER}\\{job.name}")
    _add_triggers(ET.SubElement(task, "Triggers"), machine, job)
    principal = ET.SubElement(ET.SubElement(task, "Principals"), "Principal", id="Author")
    if machine.system:
        _put(principal, UserId=_LOCAL_SYSTEM, RunLevel="LeastPrivilege")
    else:
        _put(principal, UserId=machine.user, LogonType="InteractiveToken", RunLevel="LeastPrivilege")
    _add_settings(ET.SubElement(task, "Settings"), job)
    actions = ET.SubElement(task, "Actions", Context="Author")
    for name in job.commands:
        program, *words = _words(machine, name)
        _put(
            ET.SubElement(actions, "Exec"),
            Command=program,
            Arguments=subprocess.list2cmdline(words),
            WorkingDirectory=str(machine.config.parent),
        )
    ET.indent(task)
    text = ET.tostring(task, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{text}\n'.encode("utf-16")


def windowless(python: PurePath) -> PurePath:
    """The interpreter that opens no console window: it lies beside the other."""
    return python.with_name("pythonw.exe")


def _words(machine: Machine, name: str) -> list[str]:
    words = command(machine._replace(python=windowless(machine.python)), name)
    if machine.environment:
        words[1:3] = ["-c", _PYTHON_WITH.format(dict(machine.environment))]
    return words


def _add_triggers(triggers: ET.Element, machine: Machine, job: Job) -> None:
    if job.when == "nightly":
        trigger = ET.SubElement(triggers, "CalendarTrigger")
        _put(trigger, Enabled="true", StartBoundary=_NIGHT)
        _put(ET.SubElement(trigger, "ScheduleByDay"), DaysInterval="1")
        return
    if job.when == "always":
        first = ET.SubElement(triggers, "BootTrigger" if machine.system else "LogonTrigger")
        _put(first, Enabled="true")
        if not machine.system:
            _put(first, UserId=machine.user)
    # `RestartOnFailure` is for what could not be started ([MS-TSCH] 2.5.4.2), not for what ended. So what runs always
    # is started each minute; while it runs, `IgnoreNew` makes that nothing.
    trigger = ET.SubElement(triggers, "TimeTrigger")
    _put(trigger, Enabled="true", StartBoundary=_MIDNIGHT)
    _put(ET.SubElement(trigger, "Repetition"), Interval="PT1M" if job.when == "always" else "PT5M")


def _add_settings(settings: ET.Element, job: Job) -> None:
    if job.when == "always":
        _put(ET.SubElement(settings, "RestartOnFailure"), Interval="PT1M", Count="255")
    _put(
        settings,
        MultipleInstancesPolicy="IgnoreNew",
        DisallowStartIfOnBatteries="false",
        StopIfGoingOnBatteries="false",
        StartWhenAvailable="true",
        RunOnlyIfNetworkAvailable="false",
        Enabled="true",
        Hidden="false",
    )
    _put(ET.SubElement(settings, "IdleSettings"), StopOnIdleEnd="false", RestartOnIdle="false")
    # Of Windows' scale, 5 is what a person's programs have and 7, a task's default, waits for them.
    _put(settings, ExecutionTimeLimit=_LIMIT[job.when], Priority="5" if job.when == "always" else "7")


def _put(element: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(element, name).text = text
