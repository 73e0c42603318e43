"""This machine: the disk, the ports, the clock's steps, the proxies. No network."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from collector_daemon.clock import SystemClock
from crypto_lake import universe
from crypto_lake.config import Config
from crypto_lake.operate.doctor.finding import Finding

# A busy symbol leaves about so much raw data a day (lines of 219 bytes, 143 a second).
_DAILY_BYTES = 2e9
_FEW_DAYS = 7
_PROBE = b"\n" * (1 << 20)
_SLOW_WRITE_SEC = 1.0
_WEB_PORT = 3000
_COARSE_US = 1000
_LOOK_SEC = 0.2
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def disk(config: Config) -> Iterator[Finding]:
    """Write a megabyte where the lake lies, or would lie, and look at what is free there."""
    base = config.layout.base
    folder = next((one for one in (base, *base.parents) if one.is_dir()), None)
    if folder is None:
        yield Finding.failed("disk", f"{base}: its disk is not there; see general.base_path")
        return
    try:
        began = time.monotonic()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
        took = time.monotonic() - began
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding.failed(
            "disk", f"{folder}: cannot be written: {error.strerror or error}; see general.base_path"
        )
        return
    yield _room(config, folder, free)
    if took > _SLOW_WRITE_SEC:
        yield Finding.warning(
            "disk", f"{folder}: a megabyte took {took:.1f} s to be safe; expected a local disk"
        )


def _room(config: Config, folder: Path, free: int) -> Finding:
    symbols = sum(len(universe.meant(config.layout, exchange)) for exchange in config.exchanges)
    # Of what a pattern means a lake knows nothing before its first start.
    days = free / (max(1, symbols) * _DAILY_BYTES)
    text = f"{folder}: {free / 1e9:,.1f} GB free, {days:,.0f} days of raw data if all symbols are busy"
    floor = config.collector.min_free_disk_gb
    if free < floor * 1e9:
        return Finding.failed(
            "disk", f"{text}; the collector stops below collector.min_free_disk_gb ({floor:g})"
        )
    if days < _FEW_DAYS:
        return Finding.warning("disk", f"{text}; see retention.compress_raw_after_days")
    return Finding.ok("disk", text)


def ports(config: Config) -> Iterator[Finding]:
    """Yield whether the ports that `up` and the collector would listen on are free."""
    wanted = [(_WEB_PORT, "Dagster's web UI", "`crypto-lake up --port` takes another")]
    if config.collector.metrics_port:
        wanted.append((config.collector.metrics_port, "metrics", "see collector.metrics_port"))
    for port, purpose, way_out in wanted:
        about = f"port {port}"
        if _is_free(port):
            yield Finding.ok(about, f"free for {purpose}")
        else:
            yield Finding.warning(
                about, f"in use, wanted for {purpose}; {way_out}, unless the lake runs already"
            )


def _is_free(port: int) -> bool:
    try:
        # Connecting tells on every system; binding does not where another program allowed its port to be shared.
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return False
    except OSError:
        return True


def clock_steps() -> Iterator[Finding]:
    """Yield how finely this machine's clock tells receipt times."""
    clock, end = SystemClock(), time.monotonic() + _LOOK_SEC
    seen = [clock.now_us()]
    while time.monotonic() < end:
        if (now := clock.now_us()) != seen[-1]:
            seen.append(now)
    finest = min((after - before for before, after in pairwise(seen)), default=int(_LOOK_SEC * 1e6))
    text = f"receipt times advance in steps of {max(finest, 1):,} µs"
    if finest > _COARSE_US:
        yield Finding.warning(
            "clock steps", f"{text}; expected at most {_COARSE_US:,}: quotes lose their order"
        )
    else:
        yield Finding.ok("clock steps", text)


def proxies() -> Iterator[Finding]:
    """Yield whether requests and streams would take different ways to the exchange."""
    if told := [name for name in PROXIES if os.environ.get(name)]:
        yield Finding.warning(
            "proxy",
            f"${told[0]} is set: requests go through it, streams do not; unset it if either fails below",
        )
