"""`crypto-lake up` as a person runs it."""

import socket
import sys
import time
from pathlib import Path

import pytest

from crypto_lake.operate.up import guard
from crypto_lake_tests import processes

pytestmark = pytest.mark.waits

_PATIENCE_SEC = 180


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--speed", "2"], "--speed is the bundled exchange's"),
        (["--simulate", "--config", "config.yml"], "--simulate makes a lake of its own"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid"),
        (["--config", "missing.yml"], "no such configuration file"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_touched(
    tmp_path: Path, words: list[str], complaint: str
) -> None:
    done = processes.run("crypto_lake", "up", "--port", free_port(), *words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = processes.run("crypto_lake", "up", "--simulate", "--port", port, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "another `crypto-lake up`" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_bars_appear_by_themselves_and_ctrl_c_leaves_nothing_running_and_no_open_segment(
    tmp_path: Path,
) -> None:
    folder, log = tmp_path / "späte Börse", tmp_path / "out"
    folder.mkdir()
    words = ["crypto_lake", "up", "--simulate", "--speed", "20", "--port", free_port()]
    with processes.started(*words, cwd=folder, log=log) as process:
        lake = folder / "simulated-lake" / "lake"
        end = time.monotonic() + _PATIENCE_SEC
        while not any(lake.glob("parquet/binance/*/*/*/*/part-*.parquet")) and time.monotonic() < end:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.5)
        groups = [
            int(line.rpartition(" ")[2])
            for line in log.read_text(encoding="utf-8").splitlines()
            if "started, process" in line
        ]
        processes.interrupt(process)
        assert process.wait(90) == 0
    said = log.read_text(encoding="utf-8")
    assert any(lake.glob("parquet/binance/*/*/*/*/part-*.parquet")), said
    stops = [line.split()[1] for line in said.splitlines() if line.endswith("stopped")]
    assert stops == ["dagster:", "collector:", "exchange:"]
    assert len(groups) == 3
    assert sys.platform == "win32" or not any(guard.is_alive(group) for group in groups)
    assert not any(lake.glob("raw/**/*.open"))
