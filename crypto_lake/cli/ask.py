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

    from crypto_lake.ask import bring
    from crypto_lake.disk import publish
    from crypto_lake.pages import day as page
    from crypto_lake.staging import recorded, staged

    loaded = options.configured(config_file)
    chosen = day if loaded.store is None else day or bring.newest_day(loaded)
    with staged(loaded, recorded(loaded), [chosen] if chosen else []) as local:
        path = page.write(local.config, local.series, chosen)
        if loaded.store is not None:
            # The working copy is gone when the page is opened.
            content, path = (
                publish.read(path),
                loaded.layout.base / path.relative_to(local.config.layout.base),
            )
            publish.write(path, content)
    click.echo(path)
    if opened and not webbrowser.open(path.resolve().as_uri()):
        raise LakeError(f"{path}: no browser could be started; the page itself is there")


@click.command()
@options.config_option
@options.days_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(["hftbacktest", "nautilus"]),
    required=True,
    help="Whose files: an event array (.npz), or a Parquet catalog.",
)
@click.option("--symbol", metavar="SYMBOL", help="One symbol.  [default: all that have ticks of the day]")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to.  [default: exports/ and the format's name, in the lake's folder]",
)
def export(  # noqa: PLR0913, PLR0917 - as many as there are options
    config_file: str | None,
    day: date | None,
    first: date | None,
    last: date | None,
    kind: str,
    symbol: str | None,
    output: Path | None,
) -> None:
    """Write ticks for a back-tester.

    Trades and quotes of finished days, with the time at the exchange and that of receipt.
    """
    from crypto_lake.operate import exporting
    from crypto_lake.staging import known, staged

    loaded = options.configured(config_file)
    days = options.days(loaded, day, first, last)
    if not days:
        raise click.UsageError("--date, or --from, is missing; expected which days to write")
    folder = output or loaded.layout.exports(kind)
    some = [one for one in known(loaded) if symbol in {None, one.symbol}]
    with staged(loaded, some, days) as local:
        for path in exporting.export(local.config, kind, days, symbol, folder):
            click.echo(path)
