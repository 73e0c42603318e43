"""The commands: what is typed, turned into calls, and what came of them, printed. No logic of the lake's own.

Heavy libraries are imported by the command that needs them: `collector` runs for months and has to stay light.
"""

# ruff: noqa: PLC0415 - see above

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crypto_lake import clock, dagster_home, logs
from crypto_lake import config as configuration
from crypto_lake.errors import LakeError
from crypto_lake.layout import day_of

if TYPE_CHECKING:
    from crypto_lake.config import Config
    from crypto_lake.service.plan import Machine

_F = TypeVar("_F", bound=Callable[..., Any])


class _Day(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ANN401
        from crypto_lake.defs.partitions import FIRST_DAY

        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; expected e.g. 2025-10-20", param, ctx)
        if not date.fromisoformat(FIRST_DAY) <= day <= _today():
            self.fail(f"{day} is out of range; expected {FIRST_DAY} to {_today()} (today, UTC)", param, ctx)
        return day


def _today(loaded: "Config | None" = None) -> date:
    """Today, UTC: of a lake, or, before one is known, of this machine."""
    return day_of(clock.now_us(loaded)) if loaded else datetime.now(UTC).date()


def _config_option(command: _F) -> _F:
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help=f"The configuration; else ${configuration.ENVIRONMENT_VARIABLE}, else ./{configuration.DEFAULT_FILE}.",
    )(command)


def _days_options(command: _F) -> _F:
    command = click.option("--to", "last", type=_Day(), help="The last day of a range.")(command)
    command = click.option(
        "--from", "first", type=_Day(), help="The first day of a range (to --to, or today)."
    )(command)
    return click.option("--date", "day", type=_Day(), help="One day, UTC.")(command)


def _days(loaded: "Config", day: date | None, first: date | None, last: date | None) -> list[date] | None:
    """The days that were asked for; None where none were."""
    if day and (first or last):
        raise click.UsageError("--date is one day, --from and --to are a range; expected one or the other")
    if day:
        return [day]
    if last and not first:
        raise click.UsageError("--to without --from")
    if not first:
        return None
    last = last or _today(loaded)
    if last < first:
        raise click.UsageError(f"--from {first} is after --to {last}")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _loaded(config_file: str | None, purpose: logs.Purpose) -> "Config":
    """The configuration, which the runs of this command then find as well."""
    loaded = _configured(config_file)
    os.environ[configuration.ENVIRONMENT_VARIABLE] = str(configuration.find(config_file))
    logs.start(loaded, purpose, console=True)
    return loaded


def _configured(config_file: str | None) -> "Config":
    from crypto_lake.exchanges import known

    loaded = configuration.load(configuration.find(config_file))
    for exchange in loaded.exchanges:
        known.wire(exchange.name)
    return loaded


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="crypto-lake")
def cli() -> None:
    """Every trade and best bid/ask of a few symbols, kept for good on one machine, and proved complete."""


@cli.command()
@_config_option
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop after so long."
)
@click.pass_context
def collector(context: click.Context, config_file: str | None, duration: float | None) -> None:
    """Listen to the exchange and land what it says, until Ctrl-C."""
    from collector_daemon.__main__ import collect

    context.exit(collect(Path(config_file) if config_file else None, duration))


@cli.command()
@_config_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where the web UI listens; it asks nobody who they are.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Its port.")
@click.option("--simulate", is_flag=True, help="A lake in ./simulated-lake, fed by the bundled exchange.")
@click.option(
    "--speed", type=click.FloatRange(1, 100), help="With --simulate: so many times as fast.  [default: 1]"
)
def up(config_file: str | None, host: str, port: int, *, simulate: bool, speed: float | None) -> None:
    """Run the collector and Dagster (its daemon and web UI) together, until Ctrl-C."""
    if speed and not simulate:
        raise click.UsageError("--speed is the bundled exchange's; expected it with --simulate")
    if simulate and config_file:
        raise click.UsageError("--simulate makes a lake of its own; expected it without --config")
    from crypto_lake.up import simulation, supervisor

    supervisor.free(host, port)
    folder = Path.cwd() / simulation.FOLDER
    path = supervisor.simulated(folder, speed) if simulate else configuration.find(config_file)
    loaded = _configured(str(path))
    os.environ[configuration.ENVIRONMENT_VARIABLE] = str(path)
    logs.start(loaded, "up")
    wanted = supervisor.programs(loaded, path, host, port)
    if simulate:
        wanted.insert(0, simulation.exchange(loaded, folder))
    supervisor.supervise(
        loaded,
        wanted,
        [
            f"The lake: {loaded.layout.base}",
            f"Dagster's UI: http://{host}:{port} (bars appear within some minutes)",
            f'Ask it: crypto-lake query --config "{path}" "FROM bars_1m ORDER BY window_start DESC LIMIT 5"',
            "Ctrl-C stops everything, in order.",
        ],
    )


@cli.command()
@_config_option
@_days_options
def transformer(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Make the bars of a day or a range; of today and of every day that changed, if none is given."""
    loaded = _loaded(config_file, "transformer")
    from crypto_lake import runs

    runs.report_days(loaded, runs.transform(loaded, _days(loaded, day, first, last)))


@cli.command()
@_config_option
@_days_options
def compact(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Make daily files and ticks of finished days; of all that lack one of them, if none is given."""
    loaded = _loaded(config_file, "transformer")
    from crypto_lake import runs

    runs.report_days(loaded, runs.compact(loaded, _days(loaded, day, first, last)))


@cli.command()
@_config_option
@_days_options
def validate(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Check the bars of a day or a range; of yesterday and today, if none is given."""
    loaded = _loaded(config_file, "validation")
    from crypto_lake import runs

    today = _today(loaded)
    asked = _days(loaded, day, first, last) or [today - timedelta(days=1), today]
    if failed := runs.report_verdicts(loaded, runs.validate(loaded, asked)):
        raise LakeError(f"checks failed: {failed}")


@cli.command()
@_config_option
def verify(config_file: str | None) -> None:
    """Read every finished file (daily bars, ticks) against its checksum, and name each that is damaged."""
    loaded = _loaded(config_file, "validation")
    from crypto_lake import runs

    if damaged := runs.verify(loaded):
        raise LakeError(f"files damaged, missing or without a checksum: {damaged}")


@cli.command()
@_config_option
@_days_options
@click.option("--days", "count", type=click.IntRange(1, 3650), help="So many, to yesterday.  [default: 90]")
def backfill(
    config_file: str | None, day: date | None, first: date | None, last: date | None, count: int | None
) -> None:
    """Fetch the exchange's own 1-minute candles; finished days that are there already are not fetched again."""
    if count and (day or first or last):
        raise click.UsageError(
            "--days counts back from yesterday; expected it without --date, --from and --to"
        )
    loaded = _loaded(config_file, "transformer")
    from crypto_lake import runs

    today = _today(loaded)
    asked = [today - timedelta(days=n) for n in range(count or 90, 0, -1)]
    days = _days(loaded, day, first, last) or asked
    runs.report_candles(loaded, days, runs.backfill(loaded, days))


@cli.command()
@_config_option
@_days_options
def heal(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Fetch the trades that are missing, by their ids; of every recorded day, if none is given."""
    loaded = _loaded(config_file, "transformer")
    from crypto_lake import runs

    if missing := runs.report_missing(loaded, runs.heal(loaded, _days(loaded, day, first, last))):
        raise LakeError(f"trades still missing: {missing}")


@cli.command()
@_config_option
def status(config_file: str | None) -> None:
    """Show how the collector is, what there is of each symbol, and how much disk is left."""
    from crypto_lake import status as page

    page.show(_configured(config_file))


@cli.command()
@_config_option
@click.option("--date", "day", type=_Day(), help="The day, UTC.  [default: the newest with bars]")
@click.option("--open", "opened", is_flag=True, help="Show it in the browser.")
def report(config_file: str | None, day: date | None, *, opened: bool) -> None:
    """Make a day's page: charts, coverage and verdicts in one HTML file that works offline."""
    import webbrowser

    from crypto_lake import page

    path = page.write(_configured(config_file), day)
    click.echo(path)
    if opened and not webbrowser.open(path.resolve().as_uri()):
        raise LakeError(f"{path}: no browser could be started; the page itself is there")


@cli.command()
@_config_option
@click.argument("sql", required=False)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="How it is answered.  [default: as --output's name says, else a table]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the answer to this file (.csv, .json, .parquet) instead.",
)
def query(config_file: str | None, sql: str | None, kind: str | None, output: Path | None) -> None:
    """Answer one SQL question over the views, or, without one, open a shell."""
    from crypto_lake import query as questions

    if sql is None and (kind or output):
        raise click.UsageError("--format and --output are for one question; expected it with them")
    written = questions.format_of(kind, output)
    loaded = _configured(config_file)
    if sql is None:
        questions.shell(loaded)
    elif written is None:
        questions.show(questions.connect(loaded), loaded, sql)
    else:
        questions.write(loaded, sql, written, output)


@cli.group()
def service() -> None:
    """Start at boot: by Windows Task Scheduler, systemd or launchd."""


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
    from crypto_lake.service import here

    path, loaded = configuration.find(config_file), _configured(config_file)
    return here.machine(path, loaded.layout.base, dagster_home.history_folder(whole=up), system=not user)


@service.command("print")
@_config_option
@_scope_option
@_up_option
@click.option(
    "--for", "system", type=click.Choice(["windows", "systemd", "launchd"]), help="Else this machine's."
)
@click.option("--file", "name", metavar="NAME", help="This file alone, byte for byte.")
def print_units(
    config_file: str | None, system: str | None, name: str | None, *, user: bool, up: bool
) -> None:
    """Print what `install` would write, each file below its path; nothing is touched."""
    from crypto_lake.service import here, plan, printing

    recipe = here.SYSTEMS[system or here.name()](
        _machine(config_file, user=user, up=up), plan.TOGETHER if up else plan.APART
    )
    click.echo(printing.one(recipe, name) if name else printing.every(recipe), nl=False)


@service.command()
@_config_option
@_scope_option
@_up_option
def install(config_file: str | None, *, user: bool, up: bool) -> None:
    """Start it now and at each boot; what an earlier install left is replaced."""
    from crypto_lake.service import here, plan, setup

    machine, recipe = _machine(config_file, user=user, up=up), here.SYSTEMS[here.name()]
    wanted = recipe(machine, plan.TOGETHER if up else plan.APART)
    setup.install(wanted, recipe(machine, plan.EVERY), machine)
    for unit in wanted.units:
        click.echo(f"installed: {unit.path}")
    for hint in wanted.hints:
        click.echo(hint)
    click.echo(f"to remove it: crypto-lake service remove{'' if user else ' --system'}")


@service.command()
@_scope_option
def remove(*, user: bool) -> None:
    """Stop it and start it no more; the lake stays as it is."""
    from crypto_lake.service import here, plan, setup

    gone = setup.remove(here.SYSTEMS[here.name()](here.bare(system=not user), plan.EVERY))
    for unit in gone:
        click.echo(f"removed: {unit.path}")
    if not gone:
        click.echo("Nothing to remove: it is not installed.")


@cli.command()
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=6, show_default=True, help="Market minutes to record."
)
@click.option("--serve", is_flag=True, help="Leave Dagster's UI open on what was made, until Ctrl-C.")
def demo(minutes: int, *, serve: bool) -> None:
    """Show the whole pipeline on this machine, without the internet, in a folder of its own."""
    from crypto_lake import demo as story

    story.tell(minutes, serve=serve)
