"""How the collector fares when it is left alone: start, memory and CPU over an hour of three busy symbols. Linux.

    python -m benchmarks.endurance [--minutes 60] [--rate 430]

The daemon runs as a process of its own, with the settings of the shipped `config.yml`, against the bundled exchange
(143 messages a second are what a busy symbol averages). Resident memory and CPU are read from `/proc` each minute.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.soak import SYMBOLS, exchange_of
from crypto_lake.layout import Layout
from crypto_lake.raw.collector_status import read_status
from crypto_lake.simulator.server.exchange import running
from crypto_lake.simulator.server.faults import Faults

CONFIG = """
general: {{ base_path: lake }}
exchanges:
  - {{ name: binance, symbols: [{symbols}], rest_url: "{rest_url}", wss_url: "{wss_url}" }}
"""
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0


class Sample(NamedTuple):
    """What a process has in memory (MB), and the CPU seconds that it has used."""

    megabytes: float
    cpu_seconds: float


def sample(pid: int) -> Sample:
    """A process as it is now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return Sample(resident / 1000, (int(times[11]) + int(times[12])) / _TICKS_A_SECOND)


def seconds_to_subscribe(folder: Path, began: float) -> float:
    """How long it takes from `began` until the journal says that somebody listens."""
    while not any(b'"subscribed"' in path.read_bytes() for path in folder.glob("lake/raw/*/_journal/*")):
        time.sleep(0.005)
        if time.monotonic() > began + 60:
            raise RuntimeError("the collector did not subscribe within a minute")
    return time.monotonic() - began


@click.command()
@click.option("--minutes", type=click.IntRange(2), default=60, show_default=True)
@click.option("--rate", type=float, default=430, show_default=True, help="Messages a second, all symbols.")
def main(*, minutes: int, rate: float) -> None:
    """Measure, and print a line every ten minutes and a summary."""
    exchange = exchange_of(rate, seed=1)
    exchange.faults = Faults()
    with tempfile.TemporaryDirectory() as name, running(exchange) as address:
        folder = Path(name)
        config = folder / "config.yml"
        text = CONFIG.format(symbols=", ".join(SYMBOLS), rest_url=address.rest_url, wss_url=address.ws_url)
        config.write_text(text, encoding="utf-8")
        began = time.monotonic()
        with (folder / "console.log").open("wb") as log:
            command = [sys.executable, "-m", "collector_daemon", "--config", str(config)]
            collector = subprocess.Popen(command, stdout=log, stderr=log)
        click.echo(f"start to subscribed: {seconds_to_subscribe(folder, began):.2f} s")
        samples = []
        for minute in range(1, minutes + 1):
            time.sleep(max(0.0, began + 60 * minute - time.monotonic()))
            samples.append(sample(collector.pid))
            if minute % 10 == 0:
                click.echo(f"after {minute} minutes: {samples[-1].megabytes:.1f} MB")
        status = read_status(Layout(folder / "lake").collector_status)
        collector.send_signal(signal.SIGINT)
        collector.wait(30)
    memory = [one.megabytes for one in samples]
    shares = [(after.cpu_seconds - before.cpu_seconds) / 60 for before, after in pairwise(samples)]
    half = len(memory) // 2
    kept = sum(one.trades + one.quotes for one in status.exchanges[0].symbols) if status else 0
    click.echo(f"{kept / 60 / minutes:.0f} lines a second, each over two connections")
    click.echo(
        f"memory: {max(memory):.1f} MB at most; {max(memory[half:]) - max(memory[:half]):+.1f} MB in the second half"
    )
    click.echo(f"CPU: {100 * sum(shares) / len(shares):.1f} % of a core")


if __name__ == "__main__":
    main()
