"""The lake of `crypto-lake up --simulate`: one folder with its configuration, its data and a Dagster home of its own.

The exchange behind it is the bundled one. Where its market runs fast, it began a week ago, shortly before midnight, so
that days pass while one looks on, and none of them lies in the future.
"""

import re
import socket
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from crypto_lake import config as configuration
from crypto_lake import patterns
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.operate.up.child import Program

FOLDER = "simulated-lake"
_SYMBOLS = ["SOLUSDT", "SUIUSDT", "ADAUSDT"]
_BEFORE = timedelta(days=7)
_SHORTLY_BEFORE_MIDNIGHT = time(23, 40)
_CONFIG = """\
# The lake of `crypto-lake up --simulate`, which starts the exchange behind these addresses.
general: {{base_path: ./lake}}
exchanges:
  - name: binance
    symbols: [{symbols}]
    rest_url: "http://127.0.0.1:{port}/api/v3"
    wss_url: "ws://127.0.0.1:{port}/ws"
"""
_CLOCK = """\
# The market, and each of its delays, runs {speed:g} times as fast as this machine's clock until it has caught up.
clock: {{began: {began}, market: {market}, speed: {speed:g}}}
checks: {{max_clock_offset_sec: 60, max_clock_drift_sec: 60}}
"""


def prepare(folder: Path, speed: float | None) -> Path:
    """The folder's `config.yml`, made if it is not there; `speed` None: as it is there, else as fast as life.

    Raises:
        ConfigError: the folder's market has another speed.
        LakeError: the folder cannot be made.
    """
    path = folder / configuration.DEFAULT_FILE
    try:
        (folder / "dagster").mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text(speed or 1.0), encoding="utf-8")
    except OSError as error:
        raise LakeError(f"{folder}: cannot be made: {error}") from None
    there = configuration.load(path).clock.speed
    if speed is not None and there != speed:
        raise ConfigError(
            f"--speed {speed:g}: the market of {folder} has speed {there:g}; expected that, or no such folder"
        )
    return path


def text(speed: float) -> str:
    """Return a configuration for the bundled exchange at a free port, whose market begins now, or a week ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found = _CONFIG.format(port=probe.getsockname()[1], symbols=", ".join(_SYMBOLS))
    if speed == 1:
        return found
    began = datetime.now(UTC).replace(microsecond=0)
    market = datetime.combine(began.date() - _BEFORE, _SHORTLY_BEFORE_MIDNIGHT, UTC)
    return found + _CLOCK.format(speed=speed, began=began.isoformat(), market=market.isoformat())


def exchange(config: Config, folder: Path) -> Program:
    """The bundled exchange at the address of the configuration, with its market and its clock."""
    (source,) = config.exchanges
    port = urlsplit(source.rest_url).port
    # Of patterns it trades what this folder begins with: they mean what the exchange has, not the other way round.
    names = [word for word in source.symbols if not patterns.is_pattern(word)] or _SYMBOLS
    words = ["-m", "crypto_lake.simulator", "--port", str(port), "--symbols", ",".join(names)]
    clock = config.clock
    if clock.began and clock.market:
        words += ["--speed", f"{clock.speed:g}", "--start", _iso(clock.market), "--began", _iso(clock.began)]
    return Program("exchange", tuple(words), f"the bundled one, at {source.rest_url}", folder)


def _iso(when: datetime) -> str:
    return re.sub(r"\+00:00$", "Z", when.astimezone(UTC).isoformat())
