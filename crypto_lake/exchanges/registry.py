"""The exchanges there are, by the name that `config.yml` uses."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from crypto_lake.config import Exchange
from crypto_lake.errors import ConfigError, UnknownSymbolError
from crypto_lake.exchanges.base import BulkClient, Client, RestClient, WireFormat
from crypto_lake.exchanges.binance.wire import WIRE

_WIRES: dict[str, WireFormat] = {"binance": WIRE}


def wire(name: str) -> WireFormat:
    """The stream interface of an exchange.

    Raises:
        ConfigError: there is no such exchange.
    """
    if name not in _WIRES:
        raise ConfigError(f"exchanges: {name!r} is not known; expected one of {', '.join(_WIRES)}")
    return _WIRES[name]


def check(exchanges: Iterable[Exchange], path: Path) -> None:
    """Look whether each exchange of a configuration file is known.

    Raises:
        ConfigError: one is not.
    """
    for exchange in exchanges:
        try:
            wire(exchange.name)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None


def rest_client(name: str, rest_url: str) -> Client:
    """A client of the exchange's request interface; close it with `aclose`.

    Raises:
        ConfigError: there is no such exchange.
    """
    wire(name)
    # Imported late: httpx costs a tenth of a second and 10 MB, and a running collector does not need it.
    from crypto_lake.exchanges.binance.http import BinanceHttp  # noqa: PLC0415
    from crypto_lake.exchanges.binance.rest import BinanceRest  # noqa: PLC0415

    return BinanceRest(BinanceHttp(rest_url))


def archive_client(name: str, rest_url: str, archive_url: str) -> BulkClient:
    """A client that takes candles of past days from the exchange's public archive, where it has them.

    Raises:
        ConfigError: there is no such exchange.
    """
    wire(name)
    from crypto_lake.exchanges.binance.archive import BinanceArchive  # noqa: PLC0415 - see above
    from crypto_lake.exchanges.binance.http import BinanceHttp  # noqa: PLC0415
    from crypto_lake.exchanges.binance.rest import BinanceRest  # noqa: PLC0415

    return BinanceArchive(BinanceHttp(archive_url), BinanceRest(BinanceHttp(rest_url)))


async def check_listed(client: RestClient, name: str, symbols: Sequence[str]) -> None:
    """Ask an exchange whether it lists the configured symbols.

    Raises:
        UnknownSymbolError: it does not.
        ExchangeError: no answer.
    """
    listed = await client.listed(symbols)
    if unknown := [symbol for symbol in symbols if symbol not in listed]:
        raise UnknownSymbolError(f"{name} does not list {', '.join(unknown)}; see exchanges.symbols")
