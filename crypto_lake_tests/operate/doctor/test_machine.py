"""What the doctor says of this machine."""

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from collector_daemon.clock import SystemClock
from crypto_lake import config as configuration
from crypto_lake.config import Config
from crypto_lake.operate.doctor import machine


def test_a_lake_that_is_not_there_yet_is_looked_for_where_it_would_lie(lake: Config, tmp_path: Path) -> None:
    (found,) = machine.disk(lake)
    assert found.outcome in {"ok", "warning"}
    assert str(tmp_path) in found.text
    assert not lake.layout.base.exists()


def test_less_room_than_the_collector_wants_fails(write_config: Callable[..., Path]) -> None:
    config = configuration.load(write_config(collector={"min_free_disk_gb": 1e6}))
    (found,) = machine.disk(config)
    assert (found.outcome, "min_free_disk_gb" in found.text) == ("failed", True)


def test_room_for_a_few_days_only_is_worth_a_warning(lake: Config) -> None:
    many = [f"A{number}USDT" for number in range(1_000_000)]
    exchange = msgspec.structs.replace(lake.exchanges[0], symbols=many)
    (found,) = machine.disk(msgspec.structs.replace(lake, exchanges=[exchange]))
    assert found.outcome == "warning"


def test_room_for_what_a_pattern_means_is_told_before_anything_is_known_of_it(lake: Config) -> None:
    exchange = msgspec.structs.replace(lake.exchanges[0], symbols=["*USDT"])
    (found,) = machine.disk(msgspec.structs.replace(lake, exchanges=[exchange]))
    assert "days of raw data" in found.text


def test_a_folder_that_cannot_be_written_fails(lake: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    (found,) = machine.disk(lake)
    assert (found.outcome, "Permission denied" in found.text) == ("failed", True)


def test_a_port_in_use_is_worth_a_warning_and_a_free_one_is_not(write_config: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configuration.load(write_config(collector={"metrics_port": port}))
        assert {found.about: found.outcome for found in machine.ports(config)}[f"port {port}"] == "warning"
    assert {found.about: found.outcome for found in machine.ports(config)}[f"port {port}"] == "ok"


def test_this_machines_clock_tells_receipt_times_finely_enough() -> None:
    (found,) = machine.clock_steps()
    assert found.outcome == "ok"


def test_a_clock_that_ticks_coarsely_is_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(SystemClock):
        def now_us(self) -> int:
            return super().now_us() // 15_600 * 15_600

    monkeypatch.setattr(machine, "SystemClock", Coarse)
    (found,) = machine.clock_steps()
    assert found.outcome == "warning"


def test_a_proxy_is_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert list(machine.proxies()) == []
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    (found,) = machine.proxies()
    assert (found.outcome, "secret" in found.text) == ("warning", False)
