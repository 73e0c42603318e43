"""A collector as a process of its own against the bundled exchange at its worst, and the accounts afterwards.

    python benchmarks/soak.py --minutes 10            everything goes wrong, and the collector is killed each minute
    python benchmarks/soak.py --minutes 10 --calm     faults on one of two connections at a time, no kills
    python benchmarks/soak.py --abort-every 2.5       each connection is aborted at that age, nothing else goes wrong

It ends with exit code 0 if every line is valid, no id is there twice, and every trade that is missing lies in a gap or
a downtime of the journal. With `--calm` and `--abort-every` no trade at all may be missing, and with the latter fewer
than 0.5 % of the quotes, which no exchange hands out again.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from crypto_lake.layout import MINUTE_US, SECOND_US, Layout
from crypto_lake.raw import journal, journals, segments
from crypto_lake.raw.intervals import Interval, union
from crypto_lake.raw.lines import QUOTE, STREAMS, TRADE, Stream, decode, stream_of
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.market.tape import Quote, Tape
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults

SYMBOLS = ("SOLUSDT", "SUIUSDT", "ADAUSDT")
# The exchange's 24 hours are 20 seconds here. What acts on frames is always on.
USUAL = Faults(disconnect_after_s=20, duplicate_every=97, reorder_every=89, garbage_every=1009)
NOW = 0.0
# How a connection can end badly: a drop, an abort, a half-open socket, a farewell.
ENDS = (
    replace(USUAL, disconnect_after_s=NOW),
    replace(USUAL, disconnect_after_s=NOW, abort=True),
    replace(USUAL, stall_after_s=NOW, disconnect_after_s=None),
    replace(USUAL, server_shutdown_after_s=NOW),
)
# Of the quotes that the exchange sent, so many may be lost where each connection is aborted again and again.
MOST_QUOTES_LOST = 0.005
CONFIG = """
general: {{ base_path: lake }}
exchanges:
  - {{ name: binance, symbols: [{symbols}], rest_url: "{rest_url}", wss_url: "{wss_url}" }}
collector:
  {{ write_interval_sec: 5, min_free_disk_gb: 0, {hurry} }}
"""
HURRY = "idle_timeout_sec: 3, reconnect_backoff: 1, max_connection_age_sec: 15"
AS_SHIPPED = "connections: 2"
_INTERRUPT: int = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)
# The last collector has to be up before it is asked to stop.
_LAST_KILL_SEC = 5.0
_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


def exchange_of(messages_a_second: float, seed: int, faults: Faults = USUAL) -> SimulatedExchange:
    """Return an exchange that sends so many messages a second to each connection."""
    clock = MarketClock()
    start = clock.now_us()
    trial = SyntheticMarket(seed, SYMBOLS)
    # Markets are busier at some hours than at others: what the next minute would bring decides.
    events = sum(1 for symbol in SYMBOLS for _ in trial.events(symbol, start, start + MINUTE_US))
    rate = messages_a_second * 60 / events
    return SimulatedExchange(SyntheticMarket(seed, SYMBOLS, rate), clock, faults, ping_interval_s=1.0)


class Collector:
    """The daemon as a process; `largest_kb` is the most resident memory seen (0 where the system does not tell)."""

    def __init__(self, folder: Path, address: Address, settings: str) -> None:
        self._config = folder / "config.yml"
        text = CONFIG.format(
            symbols=", ".join(SYMBOLS), rest_url=address.rest_url, wss_url=address.ws_url, hurry=settings
        )
        self._config.write_text(text, encoding="utf-8")
        self._log = folder / "console.log"
        self.largest_kb = 0
        self.kills = 0
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "collector_daemon", "--config", str(self._config)]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, creationflags=_GROUP)

    def look(self) -> None:
        """Measure its memory.

        Raises:
            RuntimeError: it has ended by itself.
        """
        if self._process.poll() is not None:
            raise RuntimeError(
                f"the collector ended by itself: {self._log.read_text(errors='replace')[-2000:]}"
            )
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            resident = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
            self.largest_kb = max([self.largest_kb, *(int(line.split()[1]) for line in resident)])

    def kill(self) -> None:
        """Kill it without a warning, and start another one."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self._process = self._start()

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        os.kill(self._process.pid, _INTERRUPT)
        return self._process.wait(30)


class Trouble:
    """What goes wrong from outside, a step at a time. `done` counts it."""

    def __init__(self, exchange: SimulatedExchange, *, calm: bool, seed: int) -> None:
        self._exchange = exchange
        self._calm = calm
        self._random = random.Random(seed)
        self.done = Counter[str]()

    def step(self) -> None:
        """One fault: on any connection, or when `calm` on one of two that have both been serving for a while."""
        sessions = [one for one in tuple(self._exchange.sessions) if one.faults is None]
        serving = [one for one in sessions if one.age_s > 2]  # noqa: PLR2004 - successors have come up by then
        if not serving or (self._calm and len(serving) < 2):  # noqa: PLR2004
            return
        if not self._calm and self._random.random() < 0.2:  # noqa: PLR2004
            self._slam_the_door()
            return
        end = self._random.choice(ENDS)
        self._random.choice(serving).faults = end
        self.done[_name(end)] += 1

    def _slam_the_door(self) -> None:
        """For a second, whoever is accepted is dropped; and those who are in are thrown out."""
        self._exchange.faults = replace(USUAL, disconnect_after_s=NOW)
        time.sleep(1)
        self._exchange.faults = USUAL
        self.done["accept-then-drop"] += 1


def _name(faults: Faults) -> str:
    if faults.stall_after_s is not None:
        return "half-open"
    if faults.server_shutdown_after_s is not None:
        return "serverShutdown"
    return "abort" if faults.abort else "drop"


class Missing(NamedTuple):
    """Trade ids of a symbol that are not on disk, both ends missing, and when their neighbours were received (µs)."""

    symbol: str
    first_id: int
    last_id: int
    received_from: int
    received_to: int


@dataclass
class Accounts:
    """What is on disk after all. `excused` are ids missing within a gap or a downtime, by which of the two.

    `quotes_sent` and `quotes_lost` count those between the first and the last that were received, of all symbols;
    `seconds_lost` is how long nobody listened in between, by the journal, and `ends` how many connections ended.
    """

    lines: int = 0
    invalid: list[str] = field(default_factory=list)
    doubled: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    unexplained: list[Missing] = field(default_factory=list)
    quotes_sent: int = 0
    quotes_lost: int = 0
    seconds_lost: float = 0.0
    ends: int = 0

    @property
    def share_of_quotes_lost(self) -> float:
        """Which part of the quotes that the exchange sent is not on disk."""
        return self.quotes_lost / max(1, self.quotes_sent)

    @property
    def missing(self) -> int:
        """How many trades are missing, for whatever reason."""
        return sum(self.excused.values()) + sum(one.last_id - one.first_id + 1 for one in self.unexplained)

    @property
    def in_order(self) -> bool:
        """Whether every line is valid, no id doubled, and everything missing explained."""
        return bool(self.lines) and not (self.invalid or self.doubled or self.unexplained)


def audit(layout: Layout, market: Tape | None = None) -> Accounts:
    """Read a lake whose collector has stopped, line by line; and compare its quotes with those of the market."""
    accounts = Accounts()
    accounts.invalid += [f"{path}: still open" for path in layout.base.rglob("*.open")]
    for symbol in layout.raw_symbols("binance"):
        days = layout.raw_days("binance", symbol)
        own = [one for day in days for one in journals.of_symbol(layout, "binance", symbol, day)]
        received = _received(layout, symbol, accounts)
        gaps = union([(gap.first_id, gap.last_id + 1) for gap in journal.of_kind(own, journal.Gap)])
        listened = union(
            [stretch for one in journal.of_kind(own, journal.Sealed) for stretch in one.listened]
        )
        for missing in _missing(symbol, received[TRADE]):
            _explain(missing, gaps, listened, accounts)
        if market is not None:
            _count_quotes(market, symbol, received[QUOTE], accounts)
        pauses = sum(after[0] - before[1] for before, after in pairwise(listened)) / SECOND_US
        accounts.seconds_lost = max(accounts.seconds_lost, pauses)
        shared = [one for day in days for one in journals.shared(layout, "binance", day)]
        accounts.ends = len(list(journal.of_kind(shared, journal.Disconnected)))
    return accounts


def _count_quotes(market: Tape, symbol: str, received: dict[int, int], accounts: Accounts) -> None:
    first, last = min(received, default=0), max(received, default=0)
    times = received.values()
    events = market.events(symbol, min(times, default=0) - SECOND_US, max(times, default=0) + SECOND_US)
    sent = {one.update_id for one in events if isinstance(one, Quote) and first <= one.update_id <= last}
    accounts.quotes_sent += len(sent)
    accounts.quotes_lost += len(sent - received.keys())


def _received(layout: Layout, symbol: str, accounts: Accounts) -> dict[Stream, dict[int, int]]:
    """When each trade and each quote of a symbol was received; lines are counted and judged on the way."""
    seen: dict[Stream, dict[int, int]] = {stream: {} for stream in STREAMS}
    for day in layout.raw_days("binance", symbol):
        for path in segments.sealed(layout.raw_day("binance", symbol, day)):
            for text in path.read_bytes().split(b"\n")[:-1]:
                try:
                    line = decode(text)
                except msgspec.DecodeError as error:
                    accounts.invalid.append(f"{path}: {error}")
                    continue
                accounts.lines += 1
                ids = seen[stream_of(line)]
                accounts.doubled += line.id in ids
                ids[line.id] = line.ts_recv
    return seen


def _missing(symbol: str, received: dict[int, int]) -> Iterator[Missing]:
    numbers = sorted(received)
    for before, after in pairwise(numbers):
        if after > before + 1:
            times = sorted((received[before], received[after]))
            yield Missing(symbol, before + 1, after - 1, *times)


def _explain(missing: Missing, gaps: list[Interval], listened: list[Interval], accounts: Accounts) -> None:
    """A gap names the ids; a downtime is a moment between the neighbours in which nobody listened."""
    count = missing.last_id - missing.first_id + 1
    if any(first <= missing.first_id and missing.last_id < end for first, end in gaps):
        accounts.excused["gap"] += count
    elif not any(start <= missing.received_from and missing.received_to <= end for start, end in listened):
        accounts.excused["downtime"] += count
    else:
        accounts.unexplained.append(missing)


class Outcome(NamedTuple):
    """How a soak ended. `unbroken`: nothing was to be lost, since no fault met all connections at once."""

    accounts: Accounts
    trouble: Counter[str]
    kills: int
    largest_kb: int
    exit_code: int
    unbroken: bool

    @property
    def passed(self) -> bool:
        """Whether the module's promises were kept."""
        if not self.accounts.in_order or self.exit_code:
            return False
        few_quotes_lost = self.accounts.share_of_quotes_lost < MOST_QUOTES_LOST
        return not self.unbroken or (self.accounts.missing == 0 and few_quotes_lost)


def soak(  # noqa: PLR0913 - each an option of the command
    folder: Path,
    *,
    seconds: float,
    rate: float = 2000,
    calm: bool = False,
    abort_every: float | None = None,
    lag: float | None = None,
    kill_every: float = 60,
    seed: int = 1,
) -> Outcome:
    """Let it run for so long, with a fault every few seconds or at that age of each connection, then stop and audit."""
    aborts = abort_every is not None
    faults = Faults(disconnect_after_s=abort_every, abort=True, lag_s=lag) if aborts else USUAL
    exchange = exchange_of(rate, seed, faults)
    trouble = Trouble(exchange, calm=calm, seed=seed)
    pause = random.Random(seed)
    with running(exchange) as address:
        collector = Collector(folder, address, AS_SHIPPED if aborts else HURRY)
        began = time.monotonic()
        next_fault, next_kill = began + 3, began + kill_every
        while time.monotonic() < began + seconds:
            time.sleep(0.1)
            collector.look()
            if not aborts and time.monotonic() >= next_fault:
                trouble.step()
                next_fault = time.monotonic() + min(pause.uniform(5, 9), seconds / 8)
            last_kill = 0.0 if calm or aborts else began + seconds - _LAST_KILL_SEC
            if next_kill <= time.monotonic() < last_kill:
                collector.kill()
                next_kill += kill_every
        exit_code = collector.stop()
    accounts = audit(Layout(folder / "lake"), exchange.tape)
    if aborts:
        trouble.done["abort"] = accounts.ends
    return Outcome(
        accounts, trouble.done, collector.kills, collector.largest_kb, exit_code, unbroken=calm or aborts
    )


@click.command()
@click.option("--minutes", type=float, default=1.0, show_default=True)
@click.option("--rate", type=float, default=2000, show_default=True, help="Messages a second, all symbols.")
@click.option("--calm", is_flag=True, help="Faults on one of two connections at a time, no kills.")
@click.option(
    "--abort-every", type=float, metavar="SECONDS", help="Abort each connection at that age; nothing else."
)
@click.option(
    "--lag", type=float, default=None, metavar="SECONDS", help="Of every other connection that is aborted so."
)
@click.option("--kill-every", type=float, default=60, show_default=True, metavar="SECONDS")
@click.option("--seed", type=int, default=1, show_default=True)
def main(minutes: float, **options: Any) -> None:  # noqa: ANN401 - click's, as declared above
    """Soak the collector, and say what became of the data."""
    with tempfile.TemporaryDirectory() as name:
        outcome = soak(Path(name), seconds=60 * minutes, **options)
    accounts = outcome.accounts
    click.echo(f"{accounts.lines:,} lines, {len(accounts.invalid)} invalid, {accounts.doubled} doubled")
    click.echo(f"missing trades: {accounts.missing}, of them {dict(accounts.excused)}")
    share, faults = accounts.share_of_quotes_lost, max(1, outcome.kills + outcome.trouble.total())
    click.echo(f"missing quotes: {accounts.quotes_lost:,} of {accounts.quotes_sent:,} ({share:.2%})")
    click.echo(
        f"not listened: {accounts.seconds_lost:.2f} s, {1000 * accounts.seconds_lost / faults:.0f} ms a fault"
    )
    click.echo(f"unexplained: {accounts.unexplained}; invalid: {accounts.invalid[:5]}")
    click.echo(
        f"faults: {dict(outcome.trouble)}, {outcome.kills} kills, {outcome.largest_kb / 1000:.0f} MB at most"
    )
    if not outcome.passed:
        sys.exit(1)


if __name__ == "__main__":
    main()
