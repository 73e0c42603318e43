import asyncio
import subprocess
import sys

import pytest

from crypto_lake.errors import ConfigError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.exchanges.binance.wire import WIRE


def test_binance_is_known() -> None:
    assert registry.exchange("binance").wire is WIRE
    client = registry.rest_client("binance", "http://127.0.0.1:1/api/v3")
    assert isinstance(client, BinanceRest)
    asyncio.run(client.aclose())


@pytest.mark.parametrize(
    "ask", [registry.exchange, lambda name: registry.rest_client(name, "http://127.0.0.1:1")]
)
def test_an_exchange_that_nobody_knows_is_named_beside_those_that_are(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ConfigError, match="'kraken' is not known; expected one of binance") as caught:
        ask("kraken")
    assert caught.value.exit_code == 2


def test_the_stream_interface_does_not_load_the_request_one() -> None:
    """A collector runs for months and needs no HTTP client once its symbols are checked."""
    asks = "from crypto_lake.exchanges import registry; registry.exchange('binance')"
    code = f"import sys; {asks}; print('httpx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
