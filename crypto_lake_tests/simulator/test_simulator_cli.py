import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from crypto_lake.simulator.__main__ import main
from crypto_lake.simulator.server.exchange import Address


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--symbols", "solusdt"], "solusdt"),
        (["--symbols", "SOLUSDT,"], "not a symbol"),
        (["--start", "yesterday"], "yesterday"),
        (["--start", "2019-12-31"], "2020"),
        (["--speed", "0"], "speed"),
        (["--speed", "fast"], "fast"),
        (["--port", "70000"], "70000"),
        (["--capture", "no-such-file.gz"], "no-such-file.gz"),
        (["--fault", "explode=1"], "explode"),
        (["--fault", "stall_after_s=soon"], "soon"),
        (["--fault", "listed=new@5"], "not a symbol"),
        (["--fault", "delisted=ADAUSDT@soon"], "soon"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(words: list[str], complaint: str) -> None:
    result = CliRunner().invoke(main, ["--port", "0", *words])
    assert result.exit_code == 2
    (line,) = (line for line in result.output.splitlines() if line.startswith("Error: "))
    assert complaint in line
    assert "Traceback" not in result.output


def test_a_capture_has_its_own_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--capture", str(tmp_path / "x"), "--start", "2025-01-01"])
    assert (result.exit_code, "--start" in result.output) == (2, True)


def test_a_taken_port_is_told(address: Address) -> None:
    result = CliRunner().invoke(main, ["--port", str(address.port)])
    assert (result.exit_code, str(address.port) in result.output) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot press Ctrl-C there without hitting itself")
def test_it_prints_where_it_listens_and_stops_on_ctrl_c() -> None:
    command = [sys.executable, "-u", "-m", "crypto_lake.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        ws_line, rest_line, _ = (process.stdout.readline() for _ in range(3))
        rest_url = rest_line.removeprefix("rest_url:").strip()
        answer = httpx.get(f"{rest_url}/ping")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=10)
    assert ws_line.startswith("wss_url:  ws://127.0.0.1:")
    assert answer.json() == {}
    assert (process.returncode, rest) == (0, "Stopped.\n")
