"""The doctor's recording, of the bundled exchange whose market runs fast."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_lake import config as configuration
from crypto_lake.operate import doctor
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults
from crypto_lake_tests import processes

pytestmark = pytest.mark.waits

SPEED = 20
SECONDS = 7.0
SYMBOLS = ["SOLUSDT", "SUIUSDT"]


@contextmanager
def market(write_config: Callable[..., Path], faults: Faults, speed: float = SPEED) -> Iterator[Path]:
    """A configuration whose exchange runs, so fast that a recording of seconds has whole minutes."""
    began = datetime.now(UTC).replace(microsecond=0)
    start = began - timedelta(days=7)
    begin_us, start_us = (int(one.timestamp() * 1e6) for one in (began, start))
    clock = MarketClock(start_us, speed, began_us=begin_us)
    with running(SimulatedExchange(SyntheticMarket(7, SYMBOLS), clock, faults)) as address:
        yield write_config(
            exchanges=[
                {
                    "name": "binance",
                    "symbols": SYMBOLS,
                    "rest_url": address.rest_url,
                    "wss_url": address.ws_url,
                }
            ],
            clock={"began": began.isoformat(), "market": start.isoformat(), "speed": speed},
            checks={"max_clock_offset_sec": 60},
        )


def examined(path: Path, seconds: float = SECONDS) -> dict[str, list[str]]:
    """The outcomes by what they are about."""
    found: dict[str, list[str]] = {}
    for one in doctor.examine(configuration.load(path), path, seconds):
        found.setdefault(one.about, []).append(one.outcome)
    return found


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_good_recording_equals_the_exchanges_own_account_and_leaves_nothing(
    write_config: Callable[..., Path], tmp_path: Path, scratch: Path
) -> None:
    with market(write_config, Faults()) as path:
        found = examined(path)
    assert found["connections"] == found["stream times"] == found["candles"] == ["ok"]
    assert found["trades"] == ["ok", "ok"]
    assert list(scratch.iterdir()) == []
    assert {one.name for one in tmp_path.iterdir()} == {"config.yml", "scratch"}


def test_trades_that_the_streams_lose_fail_by_id_and_by_candle(write_config: Callable[..., Path]) -> None:
    with market(write_config, Faults(lose_trades_every=10)) as path:
        found = examined(path)
    assert found["trades"] == ["failed", "failed"]
    assert found["candles"] == ["failed"]


def test_times_in_milliseconds_are_worth_a_warning_each(write_config: Callable[..., Path]) -> None:
    with market(write_config, Faults(milliseconds=True)) as path:
        found = examined(path)
    assert (found["request times"], found["stream times"]) == (["warning"], ["warning"])
    assert found["trades"] == ["ok", "ok"]


def test_an_exchange_that_refuses_streams_fails_and_leaves_nothing(
    write_config: Callable[..., Path], scratch: Path
) -> None:
    with market(write_config, Faults(refuse_connections=403)) as path:
        found = examined(path)
    assert (found["streams"], found["recording"]) == (["failed"], ["failed"])
    assert list(scratch.iterdir()) == []


def test_the_command_tells_each_finding_and_counts_them(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    with market(write_config, Faults()) as path:
        done = processes.run("crypto_lake", "doctor", "--seconds", "5", "--config", str(path), cwd=tmp_path)
    assert (done.returncode, "0 failed" in done.stdout, done.stderr) == (0, True, "")


def test_the_command_ends_with_1_where_something_failed(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    done = processes.run("crypto_lake", "doctor", "--config", str(write_config()), cwd=tmp_path)
    assert done.returncode == 1
    assert "failed   requests" in done.stdout
    assert done.stderr.startswith("error: the doctor found ")
