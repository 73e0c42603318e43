"""The lake of `crypto-lake up --simulate`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crypto_lake import config as configuration
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.operate.up import simulation


def test_as_fast_as_life_its_time_is_this_machines(tmp_path: Path) -> None:
    config = configuration.load(simulation.prepare(tmp_path / "lake", None))
    assert config.clock.began is None
    assert config.general.base_path == str(tmp_path / "lake" / "lake")


def test_faster_it_begins_a_week_ago_shortly_before_midnight(tmp_path: Path) -> None:
    clock = configuration.load(simulation.prepare(tmp_path / "lake", 20)).clock
    assert clock.market is not None
    assert (clock.market.hour, clock.market.minute, clock.speed) == (23, 40, 20)
    assert timedelta(days=6) < datetime.now(UTC) - clock.market < timedelta(days=8)


def test_the_next_start_finds_it_as_it_was(tmp_path: Path) -> None:
    path = simulation.prepare(tmp_path / "lake", 20)
    before = path.read_bytes()
    assert simulation.prepare(tmp_path / "lake", None) == path
    assert simulation.prepare(tmp_path / "lake", 20) == path
    assert path.read_bytes() == before


def test_another_speed_than_it_has_is_refused(tmp_path: Path) -> None:
    simulation.prepare(tmp_path / "lake", 20)
    with pytest.raises(ConfigError, match=r"--speed 5: the market of .* has speed 20"):
        simulation.prepare(tmp_path / "lake", 5)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("in the way")
    with pytest.raises(LakeError, match="cannot be made"):
        simulation.prepare(tmp_path / "lake", None)


def test_the_exchange_gets_the_lakes_address_symbols_and_clock(tmp_path: Path) -> None:
    config = configuration.load(simulation.prepare(tmp_path / "lake", 20))
    words = simulation.exchange(config, tmp_path).words
    told = dict(zip(words[2::2], words[3::2], strict=True))
    assert f":{told['--port']}/" in config.exchanges[0].rest_url
    assert told["--symbols"] == "SOLUSDT,SUIUSDT,ADAUSDT"
    assert told["--speed"] == "20"
    assert told["--start"].endswith("T23:40:00Z")
    assert told["--began"].endswith("Z")


def test_of_patterns_the_exchange_trades_what_the_folder_began_with(tmp_path: Path) -> None:
    config = configuration.load(simulation.prepare(tmp_path / "lake", 1))
    section = msgspec.structs.replace(config.exchanges[0], symbols=["all"])
    words = simulation.exchange(msgspec.structs.replace(config, exchanges=[section]), tmp_path).words
    assert "SOLUSDT,SUIUSDT,ADAUSDT" in words


def test_as_fast_as_life_the_exchange_is_told_no_time(tmp_path: Path) -> None:
    config = configuration.load(simulation.prepare(tmp_path / "lake", 1))
    assert "--start" not in simulation.exchange(config, tmp_path).words
