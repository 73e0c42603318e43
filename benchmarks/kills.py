"""Kill the commands at random moments, and see whether the lake ends in the same bytes as one that nobody disturbed.

Two lakes with the same recording of two days, of which random trades are lost, stand before the same exchange. In one,
`transformer`, `heal`, `compact` and `backfill` run once to their end. In the other they are killed (SIGKILL, or
TerminateProcess on Windows) as often as asked for, each at a random moment, and then run to their end.

    python -m benchmarks.kills --kills 50
"""

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from crypto_lake import config as configuration
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import MINUTE_US
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake_tests import recorded_market as recorded
from crypto_lake_tests.processes import surroundings
from crypto_lake_tests.raw_lines import DAY, SYMBOL

_DAYS = ["--from", DAY.isoformat(), "--to", recorded.NEXT.isoformat()]
# The order in which an undisturbed lake is made.
_COMMANDS = ("transformer", "heal", "compact", "backfill")
# Of the recording, before and after a midnight.
_MINUTES_BEFORE, _MINUTES_AFTER = 70, 65
_HOLES = 8
_COMPARED = ("parquet", "ticks", "backfill")
_EARLIEST_SEC = 0.3
_GIVEN_UP_SEC = 300


@contextmanager
def lakes(folder: Path, seed: int) -> Iterator[tuple[Path, Path]]:
    """The configuration files of two equal lakes, each in a folder of its own, while their exchange runs."""
    with running(
        SimulatedExchange(recorded.MARKET, MarketClock(recorded.OVER), weight_limit=900_000)
    ) as address:
        exchange = {
            "name": "binance",
            "symbols": [SYMBOL],
            "rest_url": address.rest_url,
            "wss_url": address.ws_url,
        }
        calm, killed = (folder / name / "config.yml" for name in ("calm", "killed"))
        for path in (calm, killed):
            path.parent.mkdir()
            (path.parent / "dagster").mkdir()
            path.write_bytes(
                msgspec.yaml.encode({"general": {"base_path": "./lake"}, "exchanges": [exchange]})
            )
        _record(configuration.load(calm), seed)
        shutil.copytree(calm.parent / "lake", killed.parent / "lake")
        yield calm, killed


def _record(lake: Config, seed: int) -> None:
    begin, end = (recorded.MIDNIGHT + minutes * MINUTE_US for minutes in (-_MINUTES_BEFORE, _MINUTES_AFTER))
    recorded.record(lake, begin, end)
    recorded.cut(lake, recorded.random_holes(recorded.trade_ids(lake), seed, _HOLES))


def begun(path: Path, command: str) -> "subprocess.Popen[bytes]":
    """A command on a lake, with a Dagster instance of that lake's own."""
    words = [sys.executable, "-m", "crypto_lake", command, "--config", str(path), *_DAYS]
    return subprocess.Popen(
        words,
        cwd=path.parent,
        env=surroundings(DAGSTER_HOME=str(path.parent / "dagster")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finished(path: Path) -> dict[str, float]:
    """Run each command to its end; how many seconds each took."""
    took = {}
    for command in _COMMANDS:
        began = time.monotonic()
        code = begun(path, command).wait(_GIVEN_UP_SEC)
        took[command] = time.monotonic() - began
        if code:
            raise SystemExit(f"{command} on {path.parent} ended with {code}")
    return took


def kill_one(path: Path, chance: random.Random, took: dict[str, float]) -> str:
    """Begin a command, and kill it at a random moment of the time that it takes; which one it was."""
    command = chance.choice(_COMMANDS)
    process = begun(path, command)
    try:
        process.wait(chance.uniform(_EARLIEST_SEC, took[command]))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"{command}, killed"
    return f"{command}, done before"


def contents(path: Path) -> dict[str, str]:
    """The checksum of each Parquet file that was made, by its place in the lake."""
    base = configuration.load(path).layout.base
    return {
        file.relative_to(base).as_posix(): _checksum(file)
        for room in _COMPARED
        for file in sorted((base / room).rglob("*.parquet"))
    }


def _checksum(file: Path) -> str:
    """Of its bytes; of trades without their times of receipt, which for healed ones are those of the healing."""
    if file.parent.name != "trades":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    query = f"SELECT * EXCLUDE (ts_recv) FROM {parquet.scan([file])} ORDER BY id"
    with parquet.connect() as connection:
        rows = connection.execute(query).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def main() -> int:
    """Do it, and say what differs; 0 where nothing does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, lakes(Path(folder), arguments.seed) as (calm, killed):
        took = finished(calm)
        print("undisturbed:", ", ".join(f"{command} {seconds:.1f} s" for command, seconds in took.items()))
        for number in range(1, arguments.kills + 1):
            print(f"{number:3}: {kill_one(killed, chance, took)}", flush=True)
        finished(killed)
        wanted, found = contents(calm), contents(killed)
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    for name in different:
        print(f"differs: {name}")
    print(f"{len(wanted)} files, {len(different)} differ after {arguments.kills} kills")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
