"""The exchanges there are, by the name that `config.yml` uses: that of a package in `crypto_lake.exchanges`."""

import functools
import importlib
import pkgutil
from collections.abc import Container, Iterator, Sequence
from datetime import date
from pathlib import Path

from crypto_lake import exchanges
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, NoListError, UnknownSymbolError
from crypto_lake.exchanges.base import BookClient, BulkClient, Client, Exchange, ListingClient, RestClient
from crypto_lake.raw.instruments import Instrument


def names() -> list[str]:
    """The exchanges that there are, sorted; none is imported for it."""
    return sorted(found.name for found in pkgutil.iter_modules(exchanges.__path__) if found.ispkg)


@functools.cache
def exchange(name: str) -> Exchange:
    """Return what differs about an exchange.

    Raises:
        ConfigError: there is no such exchange, or its package is none.
    """
    if name not in names():
        raise ConfigError(f"exchanges: {name!r} is not known; expected one of {', '.join(names())}")
    package = f"{exchanges.__name__}.{name}"
    try:
        found = getattr(importlib.import_module(package), "EXCHANGE", None)
    except ImportError as error:
        raise ConfigError(f"exchanges: {name!r}: {package} cannot be imported: {error}") from error
    if not isinstance(found, Exchange):
        raise ConfigError(f"exchanges: {name!r}: {package} has no EXCHANGE; expected a base.Exchange")
    return found


def check(config: Config, path: Path) -> None:
    """Look whether each exchange of a configuration file is known, and does what is asked of it.

    Raises:
        ConfigError: one is not, or does not.
    """
    for mistake in _mistakes(config):
        raise ConfigError(f"{path}: {mistake}")


def _mistakes(config: Config) -> Iterator[str]:
    for section in config.exchanges:
        try:
            known = exchange(section.name)
        except ConfigError as error:
            yield str(error)
            continue
        oldest, ends = config.collector.max_connection_age_sec, known.limits.connection_sec
        if oldest is not None and oldest > ends:
            yield (
                f"collector.max_connection_age_sec: {oldest:g}; expected {ends:g} at most, when "
                f"{section.name} ends a connection"
            )
        if config.backfill.source == "archive" and known.archive is None:
            yield f"backfill.source: {section.name} has no archive; expected rest"
        if lacking := [name for name in section.streams if not known.has(name)]:
            told = ", ".join(name for name in section.streams if known.has(name))
            yield f"exchanges.streams: {section.name} has no {', '.join(lacking)}; expected {told}"


def first_day() -> date:
    """The first day of which any exchange may have something."""
    return min(exchange(name).first_day for name in names())


def rest_client(name: str, rest_url: str) -> Client:
    """A client of the exchange's request interface; close it with `aclose`.

    Raises:
        ConfigError: there is no such exchange.
        ExchangeError: the environment names a proxy that is none, or certificates that cannot be read.
    """
    return exchange(name).rest(rest_url)


def book_client(name: str, rest_url: str) -> BookClient:
    """A client that can be asked for order books; close it with `aclose`.

    Raises:
        ConfigError: there is no such exchange, or it has none.
        ExchangeError: the environment names a proxy that is none, or certificates that cannot be read.
    """
    client = exchange(name).rest(rest_url)
    if not isinstance(client, BookClient):
        raise ConfigError(f"exchanges.streams: {name} has no order book to ask for; expected no depth")
    return client


def candles_client(config: Config, name: str, rest_url: str) -> BulkClient:
    """A client for candles of past days: of the exchange's archive, where the configuration wants it, with the rest.

    Raises:
        ConfigError: there is no such exchange.
    """
    known = exchange(name)
    if config.backfill.source == "archive" and known.archive:
        return known.archive.client(rest_url, config.backfill.archive_url or known.archive.url)
    return known.rest(rest_url)


async def instruments(client: RestClient, name: str) -> dict[str, Instrument]:
    """Ask an exchange for all that it lists.

    Raises:
        NoListError: it cannot be asked.
        ExchangeError: no answer.
    """
    if not isinstance(client, ListingClient):
        raise NoListError(
            f"exchanges.symbols: {name} tells no list of its symbols; expected names, no patterns"
        )
    return await client.instruments()


async def check_listed(client: RestClient, name: str, symbols: Sequence[str]) -> None:
    """Ask an exchange whether it lists the configured symbols.

    Raises:
        UnknownSymbolError: it does not.
        ExchangeError: no answer.
    """
    check_among(await client.listed(symbols), name, symbols)


def check_among(listed: Container[str], name: str, symbols: Sequence[str]) -> None:
    """Look whether what an exchange lists has the configured symbols.

    Raises:
        UnknownSymbolError: it does not.
    """
    if unknown := [symbol for symbol in symbols if symbol not in listed]:
        raise UnknownSymbolError(f"{name} does not list {', '.join(unknown)}; see exchanges.symbols")
