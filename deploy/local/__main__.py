"""`python -m deploy.local`: start a fleet in a folder, stop or start one of its processes, end it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from deploy.local import plan as plans
from deploy.local import servers, supervisor
from deploy.local.program import FleetError, end

_LOOK_SEC = 0.2
_STOP_SEC = 120

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    required=True,
    help="Where all of it lies: settings, data, logs.",
)
name_argument = click.argument("name")


class _NoFleetError(click.ClickException):
    """One line, and exit code 1."""


@click.group()
def main() -> None:
    """A fleet as processes on this machine, in one folder."""


@main.command()
@folder_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="Exchanges, symbols and settings are this one's; without it the bundled exchange is recorded.",
)
@click.option("--collectors", type=click.IntRange(0, 26), help="How many record.  [default: 2]")
@click.option("--workers", type=click.IntRange(1, 64), help="How many work on runs.  [default: 2]")
@click.option("--shards", type=click.IntRange(1, 1000), help="By default the configuration's, else 3.")
@click.option(
    "--store", type=click.Choice(["ceph", "moto", "folder"]), help="What holds the lake.  [default: ceph]"
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 100),
    default=1,
    show_default=True,
    help="Of the bundled exchange's market.",
)
def up(folder: Path, config_file: Path | None, speed: float, **wanted: Any) -> None:  # noqa: ANN401 - numbers, words
    """Start all, print `ready`, and leave it running; `fleet.json` says what there is."""
    try:
        plan = _planned(folder, config_file, speed, wanted)
        _wait_for(_begin(folder), folder)
    except KeyboardInterrupt:
        _down(folder)
        raise
    except (FleetError, OSError) as error:
        raise _NoFleetError(str(error)) from None
    click.echo(f"Dagster's UI: {plan.web}")
    click.echo(f"All of it: {supervisor.fleet_file(folder)}")
    click.echo("ready")


def _planned(folder: Path, config_file: Path | None, speed: float, wanted: dict[str, Any]) -> plans.Plan:
    if any(supervisor.left(folder)):
        raise FleetError(f"{folder}: a fleet is running there; expected none, see `down`")
    there = plans.read(folder)
    store = wanted["store"] or (there.store if there else "ceph")
    if lacking := servers.missing(store):
        raise FleetError(f"not installed: {', '.join(lacking)}")
    if there is None:
        defaults = {"collectors": 2, "workers": 2, "store": "ceph"}
        asked = {name: defaults.get(name) if value is None else value for name, value in wanted.items()}
        return plans.make(folder, config_file, asked, speed)
    for name, value in wanted.items():
        if value is not None and value != getattr(there, name):
            raise FleetError(
                f"--{name} {value}: the fleet in {folder} has {getattr(there, name)}; expected that, or a new folder"
            )
    return there


def _begin(folder: Path) -> "subprocess.Popen[bytes]":
    log = folder / "logs" / "supervisor.log"
    log.parent.mkdir(exist_ok=True)
    supervisor.fleet_file(folder).unlink(missing_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "supervise", "--folder", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,
        )


def _wait_for(running: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + 3 * supervisor.READY_SEC
    while not supervisor.fleet_file(folder).exists():
        if running.poll() is not None or time.monotonic() > until:
            raise FleetError(_last_words(folder / "logs" / "supervisor.log"))
        time.sleep(_LOOK_SEC)


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if ": stopped" not in line]
    said = [line for line in lines if line.startswith("Error: ")]
    if said:
        return said[-1].removeprefix("Error: ")
    return f"it did not start: {lines[-1] if lines else 'without a word'}; see {log}"


@main.command(hidden=True)
@folder_option
def supervise(folder: Path) -> None:
    """Keep the fleet of a folder going: what `up` leaves running."""
    plan = plans.read(folder)
    if plan is None:
        raise _NoFleetError(f"{folder}: no fleet is there")
    try:
        supervisor.Supervisor(folder, plan).run()
    except FleetError as error:
        raise _NoFleetError(str(error)) from None


@main.command()
@folder_option
def down(folder: Path) -> None:
    """End all of it; the folder keeps settings and data, and `up` goes on from there."""
    _down(folder)
    click.echo("down")


def _down(folder: Path) -> None:
    running, there = supervisor.left(folder)
    if running:
        end(running, signal.SIGTERM, _STOP_SEC)
        _, there = supervisor.left(folder)
    for one in reversed(there):
        end(one["pid"], signal.SIGTERM, 5)
    (folder / "processes.json").unlink(missing_ok=True)
    supervisor.fleet_file(folder).unlink(missing_ok=True)


@main.command()
@folder_option
@name_argument
def stop(folder: Path, name: str) -> None:
    """End one process, and leave it so, as if its host was switched off."""
    _turn(folder, name, on=False)


@main.command()
@folder_option
@name_argument
def start(folder: Path, name: str) -> None:
    """Start one process that was stopped or has died."""
    _turn(folder, name, on=True)


@main.command()
@folder_option
@name_argument
def restart(folder: Path, name: str) -> None:
    """Stop one process and start it again."""
    _turn(folder, name, on=False)
    _turn(folder, name, on=True)


def _turn(folder: Path, name: str, *, on: bool) -> None:
    if supervisor.left(folder)[0] is None:
        raise _NoFleetError(f"{folder}: no fleet is running there")
    known = _known(folder)
    if name not in known:
        raise _NoFleetError(f"{name}: expected one of {', '.join(known)}")
    supervisor.ask(folder, name, "start" if on else "stop")
    until = time.monotonic() + _STOP_SEC
    while any(one["name"] == name for one in supervisor.left(folder)[1]) != on:
        if time.monotonic() > until:
            raise _NoFleetError(f"{name}: {'not there' if on else 'still there'} after {_STOP_SEC} s")
        time.sleep(_LOOK_SEC)
    click.echo(f"{name}: {'started' if on else 'stopped'}")


def _known(folder: Path) -> list[str]:
    plan = plans.read(folder)
    if plan is None:
        raise _NoFleetError(f"{folder}: no fleet is there")
    return [one.name for one in (*plans.storage(plan, folder), *plans.programs(plan, folder))]


if __name__ == "__main__":
    main()
