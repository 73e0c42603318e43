"""Options that the commands share: those that name a configuration and days, and what they come to."""

# ruff: noqa: PLC0415 - see the package

import math
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crypto_lake import clock, logs, patterns
from crypto_lake import config as configuration
from crypto_lake.layout import day_of

if TYPE_CHECKING:
    from crypto_lake.config import Config

_F = TypeVar("_F", bound=Callable[..., Any])


class Amount(click.FloatRange):
    """A number within bounds. To click `nan` is within any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it, or say what was expected."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no amount; expected a number such as 90", param, ctx)
        return number


class Day(click.ParamType[date]):
    """A day, UTC, that an exchange may have had and that is not in the future."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ANN401
        """Read it, or say what was expected."""
        from crypto_lake.exchanges import registry

        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; expected e.g. 2025-10-20", param, ctx)
        first = registry.first_day()
        if not first <= day <= today():
            self.fail(f"{day} is out of range; expected {first} to {today()} (today, UTC)", param, ctx)
        return day


class TimeOfDay(click.ParamType[int]):
    """A time of a day, UTC, as microseconds since its midnight."""

    name = "HH:MM:SS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it, or say what was expected."""
        try:
            found = time.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None:
            self.fail(f"{value!r} is not a time of day, UTC; expected e.g. 14:30 or 14:30:00", param, ctx)
        return ((found.hour * 60 + found.minute) * 60 + found.second) * 1_000_000 + found.microsecond


def today(loaded: "Config | None" = None) -> date:
    """Return today, UTC: of a lake, or, before one is known, of this machine."""
    return day_of(clock.now_us(loaded)) if loaded else datetime.now(UTC).date()


def config_option(command: _F) -> _F:
    """Add `--config`, which every command has."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help=f"The configuration; else ${configuration.ENVIRONMENT_VARIABLE}, else ./{configuration.DEFAULT_FILE}.",
    )(command)


class Symbols(click.ParamType[str]):
    """The name of a symbol, or a pattern of names."""

    name = "PATTERN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read it, or say what was expected."""
        if mistake := patterns.mistake(value):
            self.fail(mistake, param, ctx)
        return str(value)


def symbols_option(command: _F) -> _F:
    """Add `--symbol`, which says which symbols a command is about."""
    return click.option(
        "--symbol",
        type=Symbols(),
        default=patterns.ALL,
        show_default=True,
        help='Of the symbols that this means: a name, or a pattern such as "*USDT".',
    )(command)


def days_options(command: _F) -> _F:
    """Add `--date`, `--from` and `--to`; `days` says what they come to."""
    command = click.option("--to", "last", type=Day(), help="The last day of a range.")(command)
    command = click.option(
        "--from", "first", type=Day(), help="The first day of a range (to --to, or today)."
    )(command)
    return click.option("--date", "day", type=Day(), help="One day, UTC.")(command)


def days(loaded: "Config", day: date | None, first: date | None, last: date | None) -> list[date] | None:
    """Return the days that were asked for; None where none were.

    Raises:
        UsageError: they contradict each other.
    """
    if day and (first or last):
        raise click.UsageError("--date is one day, --from and --to are a range; expected one or the other")
    if day:
        return [day]
    if last and not first:
        raise click.UsageError("--to without --from")
    if not first:
        return None
    last = last or today(loaded)
    if last < first:
        raise click.UsageError(f"--from {first} is after --to {last}")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def loaded(config_file: str | None, purpose: logs.Purpose) -> "Config":
    """Load the configuration, which the runs of this command then find as well, and start its log."""
    found = configured(config_file)
    os.environ[configuration.ENVIRONMENT_VARIABLE] = str(configuration.find(config_file))
    logs.start(found, purpose, console=True)
    return found


def configured(config_file: str | None) -> "Config":
    """Load the configuration.

    Raises:
        ConfigError: there is none, it is wrong, or it names an exchange that nobody knows.
    """
    from crypto_lake.exchanges import registry

    path = configuration.find(config_file)
    found = configuration.load(path)
    registry.check(found, path)
    return found
