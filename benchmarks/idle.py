"""What `dagster dev` costs while it waits: memory of each of its processes, and their CPU a minute.

`python benchmarks/idle.py --minutes 5` starts one of its own, on a lake in a temporary folder that nothing is recorded
in, and measures it after a minute in which it settles; `--pid N` measures one that runs, with all processes below it.
Memory is PSS: what is shared counts in parts, so the sum is what the machine gives. Linux only: /proc is read.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto_lake import starter

_SETTLE_SEC = 60
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_CONFIG = """\
general: {base_path: ./lake}
exchanges:
  - {name: binance, symbols: [SOLUSDT], rest_url: "http://127.0.0.1:1/api/v3", wss_url: "ws://127.0.0.1:1/ws"}
"""


@contextmanager
def dagster_dev(folder: Path) -> Iterator[int]:
    """A `dagster dev` with a home and a lake of its own; its process id."""
    (folder / "config.yml").write_text(_CONFIG, encoding="utf-8")
    starter.furnish(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    others = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DAGSTER_HOME", "CRYPTO_LAKE_CONFIG"}
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "--port", port],
            cwd=folder,
            env=others,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGINT)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(one for child in below for one in family(child))]


def pss_mb(pid: int) -> float:
    """Proportional set size in 10⁶ bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """What it has computed since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def name(pid: int) -> str:
    """Its command, in the words that tell the processes apart."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[1:]
    return " ".join(word for word in words if word)[:60]


def measure(pid: int, minutes: float) -> None:
    """Print a line for each process that lived all the time, and their sums."""
    before = {one: cpu_seconds(one) for one in family(pid)}
    time.sleep(minutes * 60)
    print(
        f"{'PSS MB':>8} {'CPU s/min':>10}  process (of {os.cpu_count()} cores; load {os.getloadavg()[1]:.2f})"
    )
    rows = [(pss_mb(one), (cpu_seconds(one) - spent) / minutes, name(one)) for one, spent in before.items()]
    for memory, cpu, command in sorted(rows, reverse=True):
        print(f"{memory:8.0f} {cpu:10.2f}  {command}")
    print(f"{sum(row[0] for row in rows):8.0f} {sum(row[1] for row in rows):10.2f}  all {len(rows)}")


def main() -> None:
    """What is typed."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--pid", type=int)
    asked = options.parse_args()
    if asked.pid:
        measure(asked.pid, asked.minutes)
        return
    with tempfile.TemporaryDirectory() as folder, dagster_dev(Path(folder)) as pid:
        time.sleep(_SETTLE_SEC)
        measure(pid, asked.minutes)


if __name__ == "__main__":
    main()
