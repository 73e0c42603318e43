"""Telling of a failure: what a command and a webhook get, and what is said where they fail."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from crypto_lake import alerts
from crypto_lake.config import Alerts

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


def test_a_command_that_fails_is_quoted() -> None:
    (said,) = alerts.send(Alerts(command=command("import sys; sys.exit('no mail today')")), PAYLOAD)
    assert said.startswith("alerts.command: ")
    assert "code 1: no mail today" in said


def test_a_command_that_is_not_there_is_named() -> None:
    (said,) = alerts.send(Alerts(command=["no-such-program-here"]), PAYLOAD)
    assert "no-such-program-here" in said


def test_a_command_that_takes_too_long_is_given_up() -> None:
    (said,) = alerts.send(Alerts(command=command("import time; time.sleep(60)"), timeout_sec=0.2), PAYLOAD)
    assert "timed out" in said


class _Hook(BaseHTTPRequestHandler):
    got: list[bytes]
    status: int

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[_Hook]]]:
    handler = type("Hook", (_Hook,), {"got": [], "status": 204})
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
