from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults

NOON_US = 1_760_961_600_000_000  # 2025-10-20 12:00 UTC
DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture(scope="session")
def market() -> SyntheticMarket:
    return SyntheticMarket(7, ["SOLUSDT", "ADAUSDT"], rate=40)


@pytest.fixture(scope="session")
def exchange(market: SyntheticMarket) -> SimulatedExchange:
    return SimulatedExchange(market, MarketClock(NOON_US), weight_limit=900_000, incoming_limit=None)


@pytest.fixture(scope="session")
def _address(exchange: SimulatedExchange) -> Iterator[Address]:
    with running(exchange) as address:
        yield address


@pytest.fixture
def address(exchange: SimulatedExchange, _address: Address) -> Iterator[Address]:
    """A busy exchange at about 440 messages a second, without faults at the start of each test."""
    exchange.faults = Faults()
    yield _address
    exchange.faults = Faults()


@pytest.fixture(scope="session")
def quiet() -> Iterator[Address]:
    """An exchange at the real rate, of which a day's statistics are soon counted."""
    market = SyntheticMarket(7, ["SOLUSDT", "ADAUSDT"])
    exchange = SimulatedExchange(market, MarketClock(NOON_US), weight_limit=900_000, incoming_limit=None)
    with running(exchange) as address:
        yield address


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the folder of real market data is not beside this checkout")
    return DATA


@pytest.fixture(scope="session")
def replay(data: Path) -> Replay:
    return Replay(data / "capture/btcusdt_20240808.gz", data / "capture/btcusdt_20240809.gz")
