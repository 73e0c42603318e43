"""What a run costs in a fleet: many symbols in several shards, on two workers, with Ceph on loopback.

    python -m benchmarks.fleet [--symbols 400] [--shards 16] [--minutes 5]

Starts a fleet without collectors, ships a recording as `benchmarks.many` makes it (1.5 messages a second and symbol),
and asks on Dagster's page for the bars of the day, a run a shard: first, with nothing new, and after one more minute.
CPU is that of the workers, their runs' processes included, and beside it that of the daemon, the code server,
PostgreSQL, Redis and Ceph; bytes are those that runs fetched from the store and put there.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import psutil
import yaml
from dagster._core.execution.backfill import BulkActionStatus

from benchmarks import many
from deploy.local.outside import Fleet, run

_moved = re.compile(r": ([0-9,]+) bytes fetched, ([0-9,]+) put")
_LOADING_SEC = 20
_ENDED = {BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.COMPLETED_FAILED, BulkActionStatus.FAILED}


class Cost(NamedTuple):
    """CPU seconds of the workers and of all else, bytes fetched and put."""

    workers: float
    others: float
    fetched: int
    put: int


def cost(fleet: Fleet) -> Cost:
    """Return what has been spent so far."""
    spent = {True: 0.0, False: 0.0}
    for name, pid in fleet.pids().items():
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            spent[name.startswith("worker")] += times.user + times.system
    logs = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (fleet.folder / "hosts").glob("worker-*/logs/transformer.log")
    ]
    moved = [
        [int(number.replace(",", "")) for number in found] for log in logs for found in _moved.findall(log)
    ]
    return Cost(spent[True], spent[False], sum(one[0] for one in moved), sum(one[1] for one in moved))


def bars(fleet: Fleet, instance: dg.DagsterInstance, keys: list[str], what: str) -> None:
    """Make the bars of a day, and print what that took."""
    before, began = cost(fleet), time.monotonic()
    asked = fleet.backfill(["bars_1s"], keys)
    while (found := instance.get_backfill(asked)) is None or found.status not in _ENDED:
        time.sleep(0.5)
    wall, after = time.monotonic() - began, cost(fleet)
    runs = instance.get_run_records(dg.RunsFilter(tags={"dagster/backfill": asked}))
    took = sorted((one.end_time or 0) - (one.start_time or 0) for one in runs)
    workers, others, fetched, put = (now - then for now, then in zip(after, before, strict=True))
    print(
        f"{what:<12} {found.status.value}: {len(runs)} runs in {wall:.0f} s, median {took[len(took) // 2]:.1f} s; "
        f"CPU {workers:.1f} s of workers ({workers / len(runs):.2f} a run), {others:.1f} s of all else; "
        f"{fetched:,} bytes fetched, {put:,} put"
    )


@contextmanager
def started(folder: Path, symbols: int, shards: int) -> Iterator[Fleet]:
    """Start a fleet that nobody records for, and end it."""
    many.configure(folder, symbols)
    words = ["--folder", str(folder / "F"), "--config", str(folder / "config.yml")]
    local = [sys.executable, "-m", "deploy.local"]
    try:
        run([*local, "up", *words, "--shards", str(shards), "--collectors", "0"])
        yield Fleet(folder / "F")
    finally:
        run([*local, "down", "--folder", str(folder / "F")])


def ship(fleet: Fleet, folder: Path) -> None:
    """Bring what was recorded into the store."""
    tree = yaml.safe_load(Path(fleet.told["config"]).read_text(encoding="utf-8"))
    tree["general"]["base_path"] = str(folder / "lake")
    path = folder / "ship.yml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    run(
        [sys.executable, "-m", "crypto_lake", "ship", "--once", "--config", str(path)],
        fleet.told["environment"],
    )


def measure(folder: Path, symbols: int, shards: int, minutes: int) -> None:
    """Do it all."""
    day: date = (datetime.now(UTC) - timedelta(days=1)).date()
    keys = [f"{day}|{shard}" for shard in range(shards)]
    with started(folder, symbols, shards) as fleet:
        os.environ |= fleet.told["environment"]
        with dg.DagsterInstance.get() as instance:
            many.record(folder, symbols, day, range(minutes))
            ship(fleet, folder)
            # Partitions begin with the lake's first day, as it is when the definitions are loaded.
            fleet.local("restart", "code-server")
            time.sleep(_LOADING_SEC)
            bars(fleet, instance, keys, "first")
            bars(fleet, instance, keys, "nothing new")
            many.record(folder, symbols, day, range(minutes, minutes + 1))
            ship(fleet, folder)
            bars(fleet, instance, keys, "a minute")


def main() -> None:
    """Measure in a folder that is removed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=400)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--minutes", type=int, default=5)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), wanted.symbols, wanted.shards, wanted.minutes)


if __name__ == "__main__":
    main()
