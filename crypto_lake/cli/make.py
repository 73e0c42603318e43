"""Commands that make files of what was recorded, or fetch what a recording lacks: runs in the Dagster instance."""

# ruff: noqa: PLC0415 - see the package

from datetime import date, timedelta

import click

from crypto_lake.cli import options
from crypto_lake.errors import LakeError


@click.command()
@options.config_option
@options.days_options
def transformer(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Make bars of raw segments.

    Of the days given; without one, of today and of every day that changed.
    """
    loaded = options.loaded(config_file, "transformer")
    from crypto_lake.operate import jobs

    jobs.report_days(loaded, jobs.transform(loaded, options.days(loaded, day, first, last)))


@click.command()
@options.config_option
@options.days_options
def compact(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Make daily files and ticks of finished days.

    Of the days given; without one, of all that lack one of them.
    """
    loaded = options.loaded(config_file, "transformer")
    from crypto_lake.operate import jobs

    jobs.report_days(loaded, jobs.compact(loaded, options.days(loaded, day, first, last)))


@click.command()
@options.config_option
@options.days_options
def heal(config_file: str | None, day: date | None, first: date | None, last: date | None) -> None:
    """Fetch missing trades by their ids.

    Of the days given; without one, of every recorded day. Bars and daily files follow.
    """
    loaded = options.loaded(config_file, "transformer")
    from crypto_lake.operate import jobs

    if missing := jobs.report_missing(loaded, jobs.heal(loaded, options.days(loaded, day, first, last))):
        raise LakeError(f"trades still missing: {missing}")


@click.command()
@options.config_option
@options.days_options
@click.option(
    "--days", "count", type=click.IntRange(1, 3650), help="How many days, up to yesterday.  [default: 90]"
)
def backfill(
    config_file: str | None, day: date | None, first: date | None, last: date | None, count: int | None
) -> None:
    """Fetch the exchange's own 1-minute candles.

    Finished days that are there already are not fetched again.
    """
    if count and (day or first or last):
        raise click.UsageError(
            "--days counts back from yesterday; expected it without --date, --from and --to"
        )
    loaded = options.loaded(config_file, "transformer")
    from crypto_lake.operate import jobs

    today = options.today(loaded)
    asked = [today - timedelta(days=n) for n in range(count or 90, 0, -1)]
    days = options.days(loaded, day, first, last) or asked
    jobs.report_candles(loaded, jobs.backfill(loaded, days))
