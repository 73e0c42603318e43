"""Commands that tell whether all is well with a lake."""

# ruff: noqa: PLC0415 - see the package

from datetime import date, timedelta
from pathlib import Path

import click

from crypto_lake import config as configuration
from crypto_lake.cli import options
from crypto_lake.errors import LakeError

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@options.config_option
@options.symbols_option
@click.option("--all", "everything", is_flag=True, help="Of many symbols show all, not only the worst.")
def status(config_file: str | None, symbol: str, *, everything: bool) -> None:
    """Show the collector, the holdings and the disk.

    How the collector is, what there is of each symbol, the worst first, and how much disk is left.
    """
    from crypto_lake.operate import status as page

    page.show(options.configured(config_file), symbol=symbol, everything=everything)


@click.command()
@options.config_option
@options.days_options
def validate(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Run the checks.

    On the days given; without one, on yesterday and today.
    """
    loaded = options.loaded(config_file, "validation")
    from crypto_lake.operate import jobs

    today = options.today(loaded)
    asked = options.days(loaded, day, first, last) or [today - timedelta(days=1), today]
    if failed := jobs.report_verdicts(loaded, jobs.validate(loaded, asked)):
        raise LakeError(f"checks failed: {failed}")


@click.command()
@options.config_option
def verify(config_file: str | None) -> None:
    """Read every file against its checksum.

    Daily bars, ticks and raw segments; each that is damaged is named.
    """
    loaded = options.loaded(config_file, "validation")
    from crypto_lake.operate import jobs

    if damaged := jobs.verify(loaded):
        raise LakeError(f"files damaged, missing or without a checksum: {damaged}")


@click.command()
@options.config_option
@options.days_options
@click.option(
    "--verify", "prove", is_flag=True, help="Tell it again from the files alone; name each difference."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json", "parquet", "html"]),
    help="The form; html is a page.  [default: as --output's name says, else a table]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file (.csv, .json, .parquet, .html) instead.",
)
def coverage(  # noqa: PLR0913 - as many as there are options
    config_file: str | None,
    day: date | None,
    first: date | None,
    last: date | None,
    kind: str | None,
    output: Path | None,
    *,
    prove: bool,
) -> None:
    """Say what there is of each symbol and finished day.

    Trades and those missing or healed, seconds heard, quotes, minutes equal to the exchange's candles, verdicts,
    checksums: of the days given; without one, of all.
    """
    if prove and (kind or output):
        raise click.UsageError("--verify prints differences; expected it without --format and --output")
    from crypto_lake.ask import query as questions
    from crypto_lake.operate import coverage as table
    from crypto_lake.operate import due
    from crypto_lake.staging import known, staged
    from crypto_lake.staging.holdings import Kind

    is_page = kind == "html" or (kind is None and output is not None and output.suffix.lower() == ".html")
    written = None if is_page else questions.format_of(kind, output)
    loaded = options.loaded(config_file, "validation")
    wanted = options.days(loaded, day, first, last)
    brought = wanted or (sorted(due.days_of(loaded, Kind.DAILY)) if loaded.store else [])
    with staged(loaded, known(loaded), brought) as local:
        if prove:
            if found := table.verify(local.config, wanted):
                raise LakeError(f"coverage and files differ: {found}")
        elif is_page:
            place = output or loaded.layout.coverage_page
            click.echo(table.write_page(local.config, wanted, place if loaded.store else output))
        elif written is None:
            table.show(local.config, wanted)
        else:
            table.write(local.config, wanted, written, output)


@click.command()
@options.config_option
@options.days_options
@options.symbols_option
def pull(
    config_file: str | None, day: date | None, first: date | None, last: date | None, symbol: str
) -> None:
    """Copy days from the store into this machine's folder, verified.

    All that there is of them: raw segments and journals, bars, minutes, ticks, candles and verdicts.
    """
    loaded = options.loaded(config_file, "transformer")
    from crypto_lake.operate import pull as copying

    asked = options.days(loaded, day, first, last)
    if not asked:
        raise click.UsageError("no days; expected --date, or --from and --to")
    files, size = copying.pull(loaded, asked, symbol)
    click.echo(f"files copied: {files:,} ({size:,} bytes), into {loaded.layout.base}")


@click.command()
@options.config_option
@click.option(
    "--seconds",
    type=options.Amount(5, 3600),
    default=90,
    show_default=True,
    help="How long to record; from 90 on, a whole minute is always among it.",
)
def doctor(config_file: str | None, seconds: float) -> None:
    """Say whether this machine and the exchange are fit for it.

    A short recording is held against the exchange's own trades and candles, and thrown away.
    """
    from crypto_lake.operate import doctor as examination

    path, loaded = configuration.find(config_file), options.configured(config_file)
    click.echo(f"The last part listens for {seconds:g} s; nothing is left behind.")
    told = {"ok": 0, "warning": 0, "failed": 0}
    for finding in examination.examine(loaded, path, seconds):
        told[finding.outcome] += 1
        click.secho(finding.line, fg=_COLOURS[finding.outcome])
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in told.items()))
    if told["failed"]:
        raise LakeError(f"the doctor found {told['failed']} that must be mended first")
