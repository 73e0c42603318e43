"""Commands that are run once on a machine."""

# ruff: noqa: PLC0415 - see the package

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crypto_lake import config as configuration
from crypto_lake import dagster_home
from crypto_lake.cli import options

if TYPE_CHECKING:
    from crypto_lake.operate.service.plan import Machine

_F = TypeVar("_F", bound=Callable[..., Any])


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a folder in which every command works.

    FOLDER (default: this one) gets a configuration and a page about it. Nothing is overwritten.
    """
    from crypto_lake import starter

    home = dagster_home.home()
    for path, new in starter.furnish(folder.absolute()):
        click.echo(f"{'made' if new else 'there already, left as it is'}: {path}")
    if home:
        dagster_home.furnished()
        click.echo(f"$DAGSTER_HOME is set: Dagster's history lies in {home}, and not in this folder")
    click.echo(f"Next: look at config.yml, then: cd {_quoted(folder.absolute())}, and there: crypto-lake up")
    click.echo(f"It starts the collector and Dagster; Dagster alone, there: {_dagster()} dev")


def _dagster() -> str:
    """Return what starts this installation's Dagster: a tool of pipx or uv has it off the search path."""
    found = shutil.which("dagster")
    if found and Path(found).resolve().parent == Path(sys.argv[0]).resolve().parent:
        return "dagster"
    return f"{_quoted(sys.executable)} -m dagster"


def _quoted(path: Path | str) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


@click.group()
def service() -> None:
    """Have the system start the lake at boot.

    By Windows Task Scheduler, systemd or launchd.
    """


def _scope_option(command: _F) -> _F:
    return click.option(
        "--user/--system",
        "user",
        default=True,
        help="For you, when you log in (default), or for the machine, as an administrator.",
    )(command)


_up_option = click.option(
    "--up",
    is_flag=True,
    help="One unit that runs `crypto-lake up`, instead of collector, transformer and a nightly run.",
)


def _machine(config_file: str | None, *, user: bool, up: bool) -> "Machine":
    from crypto_lake.operate.service import here

    path, loaded = configuration.find(config_file), options.configured(config_file)
    return here.machine(path, loaded.layout.base, dagster_home.written_to(path, whole=up), system=not user)


@service.command("print")
@options.config_option
@_scope_option
@_up_option
@click.option(
    "--for",
    "system",
    type=click.Choice(["windows", "systemd", "launchd"]),
    help="For which system.  [default: this machine's]",
)
@click.option("--file", "name", metavar="NAME", help="Print this file alone, byte for byte.")
def print_units(
    config_file: str | None, system: str | None, name: str | None, *, user: bool, up: bool
) -> None:
    """Print what `install` would write, and touch nothing.

    Each file stands below its path.
    """
    from crypto_lake.operate.service import here, plan, printing

    recipe = here.SYSTEMS[system or here.name()](
        _machine(config_file, user=user, up=up), plan.TOGETHER if up else plan.APART
    )
    click.echo(printing.one(recipe, name) if name else printing.every(recipe), nl=False)


@service.command()
@options.config_option
@_scope_option
@_up_option
def install(config_file: str | None, *, user: bool, up: bool) -> None:
    """Start the lake now and at each boot.

    What an earlier install left is replaced.
    """
    from crypto_lake.operate.service import here, plan, setup

    machine, recipe = _machine(config_file, user=user, up=up), here.SYSTEMS[here.name()]
    wanted = recipe(machine, plan.TOGETHER if up else plan.APART)
    setup.install(wanted, recipe(machine, plan.EVERY), machine)
    # Jobs that may write to the lake and Dagster's history alone cannot do this themselves. Not before: an install that
    # is refused leaves nothing.
    dagster_home.furnished(Path(machine.config))
    for unit in wanted.units:
        click.echo(f"installed: {unit.path}")
    for hint in wanted.hints:
        click.echo(hint)
    click.echo(f"to remove it: crypto-lake service remove{'' if user else ' --system'}")


@service.command()
@_scope_option
def remove(*, user: bool) -> None:
    """Stop what `install` started, and start it no more.

    The lake stays as it is.
    """
    from crypto_lake.operate.service import here, plan, setup

    gone = setup.remove(here.SYSTEMS[here.name()](here.bare(system=not user), plan.EVERY))
    for unit in gone:
        click.echo(f"removed: {unit.path}")
    if not gone:
        click.echo("Nothing to remove: it is not installed.")
