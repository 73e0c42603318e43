"""Telling somebody that a run failed: the command and the webhook that the configuration names. What to tell comes in.

Telling may fail as well; that is told to whoever asked for it, and never raised: one failure is enough.
"""

import json
import subprocess
from typing import Any

import httpx

from crypto_lake.config import Alerts


def send(alerts: Alerts, payload: dict[str, Any]) -> list[str]:
    """Tell it by each way that is configured; what went wrong in doing so, a line each."""
    message = json.dumps(payload, ensure_ascii=False).encode()
    troubles = []
    if alerts.command:
        troubles.append(_by_command(alerts.command, message, alerts.timeout_sec))
    if alerts.webhook:
        troubles.append(_by_webhook(alerts.webhook, message, alerts.timeout_sec))
    return [trouble for trouble in troubles if trouble]


def _by_command(command: list[str], message: bytes, timeout_sec: float) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the owner of config.yml says what is run
            command,
            input=message,
            capture_output=True,
            timeout=timeout_sec,
            check=False,
            # No console window may pop up on Windows.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"alerts.command: {error}"
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        return f"alerts.command: {command[0]} ended with code {done.returncode}: {said or 'it said nothing'}"
    return None


def _by_webhook(url: str, message: bytes, timeout_sec: float) -> str | None:
    try:
        answer = httpx.post(
            url, content=message, headers={"Content-Type": "application/json"}, timeout=timeout_sec
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"alerts.webhook: {type(error).__name__}: {error}"
    return None if answer.is_success else f"alerts.webhook: the answer was HTTP {answer.status_code}"
