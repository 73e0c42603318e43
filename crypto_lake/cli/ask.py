"""Commands that answer questions about what a lake holds."""

# ruff: noqa: PLC0415 - see the package

from datetime import date
from pathlib import Path

import click

from crypto_lake.cli import options
from crypto_lake.errors import LakeError


@click.command()
@options.config_option
@click.argument("sql", required=False)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="The form of the answer.  [default: as --output's name says, else a table]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the answer to this file (.csv, .json, .parquet) instead.",
)
def query(config_file: str | None, sql: str | None, kind: str | None, output: Path | None) -> None:
    """Answer a SQL question; without one, open a shell.

    The question is asked over the views, such as bars_1m and trades.
    """
    from crypto_lake.ask import query as questions

    if sql is None and (kind or output):
        raise click.UsageError("--format and --output are for one question; expected it with them")
    written = questions.format_of(kind, output)
    loaded = options.configured(config_file)
    if sql is None:
        questions.shell(loaded)
    elif written is None:
        questions.ask(loaded, sql)
    else:
        questions.write(loaded, sql, written, output)


@click.command()
@options.config_option
@click.option("--date", "day", type=options.Day(), help="The day, UTC.  [default: the newest with bars]")
@click.option("--open", "opened", is_flag=True, help="Show it in the browser.")
def report(config_file: str | None, day: date | None, *, opened: bool) -> None:
    """Make a day's page of charts, coverage and verdicts.

    It is one HTML file that works offline.
    """
    import webbrowser

    from crypto_lake.pages import day as page
    from crypto_lake.series import Series

    loaded = options.configured(config_file)
    path = page.write(loaded, Series.recorded(loaded), day)
    click.echo(path)
    if opened and not webbrowser.open(path.resolve().as_uri()):
        raise LakeError(f"{path}: no browser could be started; the page itself is there")
