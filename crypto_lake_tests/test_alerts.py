"""Telling of a failure: what a command and a webhook get, and what is said where they fail."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from crypto_lake import alerts
from crypto_lake.config import Alerts

WINDOWS = sys.platform == "win32"

PAYLOAD = {"event": "run_failed", "job": "make_bars", "error": "ε"}


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_without_a_way_nothing_is_told_and_nothing_goes_wrong() -> None:
    assert alerts.send(Alerts(), PAYLOAD) == []


def test_a_command_gets_the_json_on_its_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    code = f"import sys; open({str(path)!r}, 'wb').write(sys.stdin.buffer.read())"
    assert alerts.send(Alerts(command=command(code)), PAYLOAD) == []
    assert json.loads(path.read_text(encoding="utf-8")) == PAYLOAD


def test_a_command_is_told_where_no_disk_takes_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    test_a_command_gets_the_json_on_its_standard_input(tmp_path)


def test_a_command_that_fails_is_quoted() -> None:
    (said,) = alerts.send(Alerts(command=command("import sys; sys.exit('no mail today')")), PAYLOAD)
    assert said.startswith("alerts.command: ")
    assert "code 1: no mail today" in said


def test_a_command_that_is_not_there_is_named() -> None:
    (said,) = alerts.send(Alerts(command=["no-such-program-here"]), PAYLOAD)
    assert "no-such-program-here" in said


def test_a_command_that_takes_too_long_is_given_up() -> None:
    (said,) = alerts.send(Alerts(command=command("import time; time.sleep(60)"), timeout_sec=0.2), PAYLOAD)
    assert said.endswith(
        "timed out after 0.2 s, and was ended with its process " + ("tree" if WINDOWS else "group")
    )


class _Hook(BaseHTTPRequestHandler):
    got: list[bytes]
    status: int
    place: str

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        if self.place:
            self.send_header("Location", self.place)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[_Hook]]]:
    handler = type("Hook", (_Hook,), {"got": [], "status": 204, "place": ""})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", handler
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_gets_the_json_by_post(hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    assert alerts.send(Alerts(webhook=url), PAYLOAD) == []
    assert [json.loads(body) for body in handler.got] == [PAYLOAD]


def test_a_webhook_that_refuses_is_quoted(hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    handler.status = 500
    assert alerts.send(Alerts(webhook=url), PAYLOAD) == ["alerts.webhook: the answer was HTTP 500"]


def test_a_webhook_that_is_away_does_not_keep_the_command_from_being_told(tmp_path: Path) -> None:
    path = tmp_path / "told"
    both = Alerts(command=command(f"open({str(path)!r}, 'w')"), webhook="http://127.0.0.1:1/hook")
    (said,) = alerts.send(both, PAYLOAD)
    assert said.startswith("alerts.webhook: ConnectError")
    assert path.exists()


@pytest.fixture
def drip() -> Iterator[str]:
    """A webhook that answers a byte a moment, for ever, until its asker leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip, args=(server,))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join(10)
        assert not thread.is_alive()


def _drip(server: socket.socket) -> None:
    server.settimeout(10)
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(1000):
            connection.sendall(b"x")
            time.sleep(0.02)


def test_a_webhook_that_drips_is_given_up_after_its_time(drip: str) -> None:
    (said,) = alerts.send(Alerts(webhook=drip, timeout_sec=0.3), PAYLOAD)
    assert said == "alerts.webhook: no whole answer within 0.3 s"


@pytest.fixture
def endless() -> Iterator[str]:
    """A webhook that agrees, and goes on about it for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_rave, args=(server,))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join(10)
        assert not thread.is_alive()


def _rave(server: socket.socket) -> None:
    server.settimeout(10)
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.settimeout(5)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)


def test_of_a_webhooks_answer_the_status_is_enough(endless: str) -> None:
    assert alerts.send(Alerts(webhook=endless, timeout_sec=5), PAYLOAD) == []


_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({path!r}, "w").write(str(child.pid))
time.sleep(600)
"""


def test_a_command_that_is_given_up_takes_its_children_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    (said,) = alerts.send(Alerts(command=command(_PARENT.format(path=str(path))), timeout_sec=3), PAYLOAD)
    assert "timed out" in said
    for _ in range(200):
        if not _is_there(int(path.read_text(encoding="utf-8"))):
            return
        time.sleep(0.05)
    pytest.fail("its child is still there")


def _is_there(pid: int) -> bool:
    if sys.platform == "win32":
        listed = subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, check=True)  # noqa: S607
        return str(pid).encode() in listed.stdout
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody collects the dead, a killed process is there as a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_command_that_leaves_something_running_is_not_waited_for() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2)'])"
    assert alerts.send(Alerts(command=command(code), timeout_sec=30), PAYLOAD) == []


def test_a_command_that_talks_without_an_end_is_quoted_in_a_line() -> None:
    code = """
import sys
for _ in range(300):
    sys.stdout.write("x" * 65536)
    sys.stderr.write("y" * 65536)
sys.exit("\x1b[31mno mail")
"""
    (said,) = alerts.send(Alerts(command=command(code), timeout_sec=30), PAYLOAD)
    assert said.endswith("\\x1b[31mno mail")
    assert len(said) <= 500


def test_a_command_that_does_not_read_is_no_hindrance() -> None:
    assert alerts.send(Alerts(command=command("pass"), timeout_sec=30), {"error": "x" * 1_000_000}) == []
    (said,) = alerts.send(
        Alerts(command=command("import time; time.sleep(60)"), timeout_sec=0.5), {"error": "x" * 1_000_000}
    )
    assert "timed out" in said


def test_what_is_secret_in_a_command_or_a_webhook_is_not_quoted() -> None:
    sleeper = [*command("import time; time.sleep(60)"), "CANARY"]
    away = "http://user:CANARY@127.0.0.1:1/CANARY?token=CANARY"
    said = alerts.send(Alerts(command=sleeper, webhook=away, timeout_sec=0.3), PAYLOAD)
    assert len(said) == 2
    assert "CANARY" not in str(said)


def test_certificates_that_cannot_be_read_do_not_keep_the_command_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    (said,) = alerts.send(Alerts(webhook="https://127.0.0.1:1/hook"), PAYLOAD)
    assert said.startswith("alerts.webhook: ")
    assert "No such file" in said


@pytest.mark.parametrize("place", ["about:blank", "http://h:CANARY", "http://[::CANARY", "http://xn--a/"])
def test_a_webhook_that_redirects_to_what_is_no_address_is_told_without_its_secret(
    hook: tuple[str, type[_Hook]], place: str
) -> None:
    url, handler = hook
    handler.status, handler.place = 302, place
    (said,) = alerts.send(Alerts(webhook=f"{url}?token=CANARY"), PAYLOAD)
    assert said.startswith("alerts.webhook: ")
    assert said != "alerts.webhook: not an address"
    assert "CANARY" not in said


def test_a_redirect_of_a_webhook_is_not_followed(hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    handler.status = 307
    assert alerts.send(Alerts(webhook=url), PAYLOAD) == ["alerts.webhook: the answer was HTTP 307"]
    assert len(handler.got) == 1
