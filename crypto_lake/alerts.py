"""Telling somebody that a run failed: the command and the webhook that the configuration names. What to tell comes in.

Telling may fail as well; that is told to whoever asked for it, and never raised: one failure is enough. It has an end
in time, whatever a command leaves running and however slowly a webhook answers.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import IO, Any

import httpx

from crypto_lake import web
from crypto_lake.config import Alerts
from crypto_lake.showing import printable, without_secrets

_SHOWN = 300
_CHUNK = 4096
# A killed command's last words, and the system's own program that kills.
_LAST_SEC = 1.0
_TASKKILL_SEC = 10.0


def send(alerts: Alerts, payload: dict[str, Any]) -> list[str]:
    """Tell it by each way that is configured; what went wrong in doing so, a line each."""
    message = json.dumps(payload, ensure_ascii=False).encode(errors="replace")
    troubles = []
    if alerts.command:
        troubles.append(_by_command(alerts.command, message, alerts.timeout_sec))
    if alerts.webhook:
        troubles.append(_by_webhook(alerts.webhook, message, alerts.timeout_sec))
    return [printable(trouble) for trouble in troubles if trouble]


def _by_command(command: list[str], message: bytes, timeout_sec: float) -> str | None:
    try:
        process = _started(command)
    except OSError as error:  # Windows' does not name the program.
        return f"alerts.command: {command[0]}: {error.strerror or error}"
    except ValueError as error:
        return f"alerts.command: {error}"
    # In a thread: a command need not read. By no file: what is told may be that the disk is full.
    threading.Thread(target=_say, args=(process.stdin, message), daemon=True).start()
    said = _Tail(process.stderr)
    try:
        code = process.wait(timeout_sec)
    except subprocess.TimeoutExpired:
        _kill(process)
        with_it = "process tree" if sys.platform == "win32" else "process group"
        return f"alerts.command: {command[0]} timed out after {timeout_sec:g} s, and was ended with its {with_it}"
    except BaseException:
        _kill(process)
        raise
    if code:
        return f"alerts.command: {command[0]} ended with code {code}: {said.text() or 'it said nothing'}"
    return None


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the owner of config.yml says what is run
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # No console window may pop up on Windows. A group of its own is what `_kill` ends elsewhere.
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        start_new_session=sys.platform != "win32",
    )


def _say(pipe: IO[bytes], message: bytes) -> None:
    # It may end before it has read all, or has its end of the pipe closed.
    with contextlib.suppress(OSError), pipe:
        pipe.write(message)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a command and its process group (Windows: process tree); what left the group lives on."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - the system's own, which knows who started whom
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_TASKKILL_SEC,
                check=False,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_SEC)


class _Tail:
    """Reads what a process says and keeps the end of it.

    In a thread that nobody waits for: what the process leaves running in the background may hold the pipe for days.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            return
        with pipe:
            while piece := os.read(pipe.fileno(), _CHUNK):
                self._kept = (self._kept + piece)[-_CHUNK:]

    def text(self) -> str:
        """Return the last words, once there are no more, or no more are waited for."""
        self._thread.join(_LAST_SEC)
        return " ".join(self._kept.decode(errors="replace").split())[-_SHOWN:]


def _by_webhook(url: str, message: bytes, timeout_sec: float) -> str | None:
    try:
        status = asyncio.run(_post(url, message, timeout_sec))
    # httpx wants another package for a SOCKS proxy, and files of certificates.
    except (web.NoAnswerError, ImportError, OSError) as error:
        return f"alerts.webhook: {without_secrets(str(error), url)}"
    except (httpx.InvalidURL, ValueError):
        return "alerts.webhook: not an address"
    return None if 200 <= status < 300 else f"alerts.webhook: the answer was HTTP {status}"  # noqa: PLR2004 - HTTP's


async def _post(url: str, message: bytes, timeout_sec: float) -> int:
    async with httpx.AsyncClient(
        timeout=timeout_sec, follow_redirects=False, verify=web.certificates()
    ) as client:
        headers = {"Content-Type": "application/json"}
        request = client.build_request("POST", url, content=message, headers=headers)
        return await web.tell(client, request, answer_sec=timeout_sec)
