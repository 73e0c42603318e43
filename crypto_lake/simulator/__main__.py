"""`python -m crypto_lake.simulator`: the bundled exchange on its own, for a collector or a curious person.

Here belongs turning words into a tape, a clock and faults, and saying where it listens; nothing else.
"""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.synthetic import EPOCH_US, SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake.simulator.server.faults import parse_faults, time_us

if TYPE_CHECKING:
    from crypto_lake.simulator.market.tape import Tape

_SYMBOL = re.compile(r"[A-Z0-9]{2,30}")


class _WrongInputError(click.ClickException):
    """One line, and exit code 2."""

    exit_code = 2


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9443, show_default=True, help="0 takes any free one."
)
@click.option(
    "--symbols", default="SOLUSDT,SUIUSDT,ADAUSDT", show_default=True, help="Of the synthetic market."
)
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed is another market.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Market seconds in a real second.")
@click.option("--start", help="Market time at the start, ISO 8601, UTC (default: now).")
@click.option("--began", help="This machine's time when it was --start, ISO 8601, UTC (default: now).")
@click.option("--capture", type=click.Path(path_type=Path), multiple=True, help="Replay this file instead.")
@click.option(
    "--fault",
    multiple=True,
    metavar="NAME=VALUE",
    help="Something that goes wrong, or changes, e.g. stall_after_s=60 or listed=NEWUSDT@60.",
)
def main(  # noqa: PLR0913 - one for each option
    *,
    port: int,
    symbols: str,
    seed: int,
    speed: float,
    start: str | None,
    began: str | None,
    capture: tuple[Path, ...],
    fault: tuple[str, ...],
) -> None:
    """A stand-in for the exchange on this machine: real WebSocket and REST, made-up or replayed market data."""
    try:
        faults = parse_faults(fault)
        later = [it.symbol for it in faults.listed] + [it.to for it in faults.renamed if it.to]
        names = [*symbols.split(","), *later]
        tape, clock = (
            _replay(capture, speed, start)
            if capture
            else _market(list(dict.fromkeys(names)), seed, speed, start, began)
        )
        exchange = SimulatedExchange(tape, clock, faults)
        with running(exchange, port) as address:
            stop = _stop_on_signals()
            click.echo(f"wss_url:  {address.ws_url}")
            click.echo(f"rest_url: {address.rest_url}")
            click.echo(f"Trading {', '.join(tape.symbols)}. Ctrl-C stops.")
            while not stop.wait(0.2):  # short waits: Windows does not interrupt a long one
                pass
    except (OSError, ValueError) as error:
        raise _WrongInputError(str(error)) from error
    click.echo("Stopped.")


def _market(
    symbols: list[str], seed: int, speed: float, start: str | None, began: str | None
) -> tuple[Tape, MarketClock]:
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise ValueError(f"not a symbol: {symbol!r}; expected capital letters and digits, e.g. SOLUSDT")
    start_us = None if start is None else time_us(start)
    if start_us is not None and start_us < EPOCH_US:
        raise ValueError("--start: the synthetic market opened on 2020-01-01")
    if began is not None and start_us is None:
        raise ValueError("--began without --start")
    began_us = None if began is None else time_us(began)
    return SyntheticMarket(seed, symbols), MarketClock(start_us, speed, began_us=began_us)


def _replay(paths: tuple[Path, ...], speed: float, start: str | None) -> tuple[Tape, MarketClock]:
    if start is not None:
        raise ValueError("--start is for the synthetic market; a capture starts where it starts")
    tape = Replay(*paths)
    return tape, tape.clock(speed)


def _stop_on_signals() -> threading.Event:
    """Set by Ctrl-C or a polite kill, also where a shell started this in the background."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    main()
