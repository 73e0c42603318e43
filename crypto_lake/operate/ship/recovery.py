"""Bring what a collector that died left open, and that nobody starts again.

Its own recovery seals it, run as a process of its own. While it runs a collector that is started waits for it.
"""

import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from loguru import logger

from crypto_lake.config import Config
from crypto_lake.disk import locks
from crypto_lake.errors import LakeBusyError
from crypto_lake.layout import OPEN_SUFFIX
from crypto_lake.raw.lines import OF_BOOK, RECEIVED

# A collector that is started again after its death seals what it left by itself.
GRACE_SEC = 15.0
_LONGEST_SEC = 1_800


class Mourner:
    """Looks whether the lake's collector is gone and has left something open."""

    def __init__(self, config: Config, config_file: Path, grace_sec: float = GRACE_SEC) -> None:
        self._config = config
        self._config_file = config_file
        self._grace_sec = grace_sec
        self._gone_since: float | None = None

    def look(self) -> None:
        """Recover what lies open if nobody has held the lake for a while; an error of that is logged."""
        if not self._is_left():
            self._gone_since = None
            return
        now = time.monotonic()
        self._gone_since = now if self._gone_since is None else self._gone_since
        if now - self._gone_since >= self._grace_sec:
            self._gone_since = None
            self._recover()

    def _is_left(self) -> bool:
        """Return whether no collector holds the lake, and one has left a segment open."""
        layout = self._config.collector_layout
        try:
            # A collector that starts in this instant waits for this lock, and does not take the other for taken.
            with (
                locks.hold(layout.recovery_lock, wait_sec=0),
                locks.hold(layout.collector_lock, wait_sec=0),
            ):
                pass
        except LakeBusyError:
            return False
        # Other collectors, of names of their own, may be writing to theirs.
        own = [layout.segment("", "", date.min, 0, family).name for family in (RECEIVED, OF_BOOK)]
        patterns = [f"*/*/*/{name.replace('0000', '[0-9]*')}{OPEN_SUFFIX}" for name in own]
        return any(True for pattern in patterns for _ in layout.raw_symbol("", "").glob(pattern))

    def _recover(self) -> None:
        logger.warning(
            "no collector has held the lake for {:g} s; what one left open is sealed", self._grace_sec
        )
        words = [sys.executable, "-m", "collector_daemon", "--config", str(self._config_file), "--recover"]
        try:
            done = subprocess.run(  # noqa: S603 - our own words only
                words, capture_output=True, text=True, errors="replace", timeout=_LONGEST_SEC, check=False
            )
        except subprocess.TimeoutExpired:
            logger.error("it could not be sealed within {} s", _LONGEST_SEC)
            return
        if done.returncode:
            logger.error("it could not be sealed: {}", " ".join(done.stderr.split())[-500:])
