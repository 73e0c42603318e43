import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from crypto_lake import exchanges
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
    """What asks no exchange needs no HTTP client."""
    asks = "from crypto_lake.exchanges import registry; registry.exchange('binance')"
    code = f"import sys; {asks}; print('httpx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a package with this text beside those that there are, as another distribution would."""
    monkeypatch.setattr(exchanges, "__path__", [*exchanges.__path__, str(tmp_path)])

    def write(name: str, text: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text, encoding="utf-8")

    return write


def test_exchanges_are_told_by_their_packages_and_none_is_imported_for_it(
    place: Callable[[str, str], None],
) -> None:
    place("zzz_exchange", "raise ValueError")
    assert registry.names() == ["binance", "zzz_exchange"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("no_object", "", "has no EXCHANGE; expected a base.Exchange"),
        ("no_exchange", "EXCHANGE = 1", "has no EXCHANGE; expected a base.Exchange"),
        (
            "no_library",
            "import surely_not_installed",
            "cannot be imported: No module named 'surely_not_installed'",
        ),
    ],
)
def test_a_package_that_is_no_exchange_is_one_line(
    place: Callable[[str, str], None], name: str, text: str, said: str
) -> None:
    place(name, text)
    with pytest.raises(ConfigError, match=said) as caught:
        registry.exchange(name)
    assert "\n" not in str(caught.value)


def test_nothing_is_older_than_the_first_exchange() -> None:
    assert registry.first_day() == date(2017, 7, 1)
