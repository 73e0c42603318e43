"""`crypto-lake up --simulate`, left alone: failed runs, memory of each process over time, and what it leaves behind.

`python -m benchmarks.up --minutes 120 --folder NEW` starts it there at 20 times the speed, so through at least one
midnight, and writes a line each minute to `NEW/memory.csv`. Then it is stopped by Ctrl-C, started again, and killed
outright; after either nothing of it may be left. Memory is RSS, which does not depend on what others share. Linux only.
"""

import argparse
import csv
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks.idle import family, name

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE_SEC = 60
_SETTLED_MIN = 15
_WINDOW_MIN = 10
_ALLOWED_GROWTH = 1.10
_STOP_SEC = 90
# What the guard gives children to end, and some.
_GUARD_SEC = 40


@contextmanager
def started(folder: Path, speed: float) -> "Iterator[subprocess.Popen[bytes]]":
    """The command, in a folder of its own, as a person types it; it prints to `up.txt`. Killed if it is still there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    words = ["-m", "crypto_lake", "up", "--simulate", "--speed", f"{speed:g}", "--port", port]
    clean = {
        key: text for key, text in os.environ.items() if key not in {"DAGSTER_HOME", "CRYPTO_LAKE_CONFIG"}
    }
    with (
        (folder / "up.txt").open("ab") as log,
        subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=clean, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def rss_mb(pid: int) -> float:
    """Resident memory in 10⁶ bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def left_alone(pid: int, minutes: float, folder: Path) -> dict[int, tuple[str, list[float]]]:
    """Each process's name and its memory in 10⁶ bytes, minute by minute, of those that were there all the time."""
    kept: dict[int, tuple[str, list[float]]] = {}
    with (folder / "memory.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["minute", "pid", "name", "rss_mb"])
        for minute in range(1, int(minutes * 60 // _SAMPLE_SEC) + 1):
            time.sleep(_SAMPLE_SEC)
            for one in family(pid):
                try:
                    words, memory = name(one), rss_mb(one)
                except OSError:  # it has ended since
                    continue
                kept.setdefault(one, (words, []))[1].append(memory)
                rows.writerow([minute, one, words, round(memory, 1)])
            file.flush()
    count = max((len(memory) for _, memory in kept.values()), default=0)
    return {one: (words, memory) for one, (words, memory) in kept.items() if len(memory) >= count - 1}


def growth(memory: list[float]) -> float | None:
    """The last minutes' median over that of those after it had settled; None of a run too short to tell."""
    if len(memory) < _SETTLED_MIN + 2 * _WINDOW_MIN:
        return None
    early = memory[_SETTLED_MIN : _SETTLED_MIN + _WINDOW_MIN]
    return statistics.median(memory[-_WINDOW_MIN:]) / statistics.median(early)


def runs(folder: Path) -> Counter[str]:
    """How many of Dagster's runs ended how."""
    from dagster import DagsterInstance  # noqa: PLC0415 - it is slow to import, and others measure with this file

    with DagsterInstance.from_config(str(folder / "simulated-lake" / "dagster")) as instance:
        return Counter(run.status.value for run in instance.get_runs())


def left_over(folder: Path) -> list[str]:
    """Processes that name this folder, or stand in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            stands = (entry / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue
        if stands or f"{folder}/" in words:
            found.append(f"{entry.name} {words[:100]}")
    return found


def ended(folder: Path, process: "subprocess.Popen[bytes]", number: int) -> list[str]:
    """What is left after a signal to the supervisor; empty as soon as nothing is."""
    process.send_signal(number)
    process.wait(_STOP_SEC)
    until = time.monotonic() + _GUARD_SEC
    while (rest := left_over(folder)) and time.monotonic() < until:
        time.sleep(1)
    return rest


def answers(folder: Path) -> bool:
    """Whether the web UI that `up.txt` named last answers, within two minutes."""
    for _ in range(120):
        lines = [
            line for line in (folder / "up.txt").read_text().splitlines() if line.startswith("Dagster's UI: ")
        ]
        try:
            return httpx.get(f"{lines[-1].split()[2]}/server_info", timeout=5).is_success
        except (httpx.HTTPError, IndexError):
            time.sleep(1)
    return False


def main() -> None:
    """What is typed; exit code 1 where a target is missed."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--minutes", type=float, default=120)
    options.add_argument("--speed", type=float, default=20)
    options.add_argument("--folder", type=Path, required=True, help="A new one.")
    asked = options.parse_args()
    folder: Path = asked.folder.resolve()
    folder.mkdir(parents=True)
    missed = []

    with started(folder, asked.speed) as process:
        for words, memory in left_alone(process.pid, asked.minutes, folder).values():
            grown = growth(memory)
            print(
                f"{memory[0]:7.0f} MB at first, {max(memory):5.0f} at most, {memory[-1]:5.0f} at last, "
                f"{f'x {grown:.3f}' if grown else 'too short'}  {words}"
            )
            if grown and grown > _ALLOWED_GROWTH:
                missed.append(f"grew: {words}")
        if process.poll() is not None:
            missed.append("the supervisor ended by itself")
        rest = ended(folder, process, signal.SIGINT)
    print(f"after Ctrl-C: exit code {process.returncode}, left over: {rest or 'nothing'}")
    counted = runs(folder)
    print(f"runs: {dict(counted)}")

    with started(folder, asked.speed) as process:
        print(f"second start: the UI {'answers' if answers(folder) else 'does not answer'}")
        killed = ended(folder, process, signal.SIGKILL)
    print(f"after SIGKILL: left over: {killed or 'nothing'}")

    missed += [f"left over: {one}" for one in rest + killed]
    missed += [f"runs that ended as {how}" for how in counted if how not in {"SUCCESS", "CANCELED"}]
    restarts = (folder / "up.txt").read_text().count("ended by itself")
    missed += [f"children that ended by themselves: {restarts}"] if restarts else []
    print("\n".join(["missed:", *missed]) if missed else "all targets met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
