"""The conditions before the first frame: the clock is set, the lake is ours, the disk has room, the symbols exist."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from collector_daemon.land import recovery
from crypto_lake.config import Config, Exchange
from crypto_lake.disk import locks
from crypto_lake.errors import DiskFullError, ExchangeError, LakeError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Client
from crypto_lake.layout import Layout, day_of
from crypto_lake.raw.instruments import Instrument
from crypto_lake.raw.lines import EARLIEST_US, LATEST_US
from crypto_lake.showing import address

_REST_TIMEOUT_SEC = 20.0
# For some megabytes.
_LIST_TIMEOUT_SEC = 60.0
_GIGABYTE = 1_000_000_000
_T = TypeVar("_T")


# For the files of thousands of symbols.
_RECOVERY_SEC = 120.0


@contextmanager
def holding(layout: Layout) -> Iterator[None]:
    """Hold the lake for this collector, once nobody is sealing what one before has left open.

    Others may record into it under names of their own.

    Raises:
        LakeBusyError: another collector of this name holds it.
        LakeError: its folder cannot be written.
    """
    named = f" named {layout.recorder}" if layout.recorder else ""
    busy = f"{layout.base}: another collector{named} is recording into this lake"
    with ExitStack() as held:
        with locks.hold(layout.recovery_lock, wait_sec=_RECOVERY_SEC, busy=busy):
            held.enter_context(locks.hold(layout.collector_lock, wait_sec=0, busy=busy))
        yield


def recover(config: Config, now_us: int) -> int:
    """Seal what a collector that died left open, and record nothing; return how many segments that were.

    Raises:
        LakeBusyError: a collector records into the lake.
        LakeError: the disk refused, or the clock is not set.
    """
    check_clock(now_us)
    layout = config.collector_layout
    busy = f"{layout.base}: a collector is recording into this lake; it needs no recovery"
    with (
        locks.hold(layout.recovery_lock, wait_sec=_RECOVERY_SEC, busy=busy),
        locks.hold(layout.collector_lock, wait_sec=0, busy=busy),
    ):
        try:
            return sum(len(recovery.recover(layout, one.name, now_us)) for one in config.exchanges)
        except OSError as error:
            raise LakeError(f"{layout.base}: {error}") from None


def check_clock(now_us: int) -> None:
    """Look at the time: a machine without a battery for its clock starts in 1970, until the network tells it.

    Readers refuse lines and records of a time at which no exchange was there, so nothing may be written then.

    Raises:
        LakeError: the clock is not set.
    """
    if not EARLIEST_US <= now_us < LATEST_US:
        today, first = day_of(now_us), day_of(EARLIEST_US)
        raise LakeError(
            f"the clock says {today}; expected a day from {first} on: set it, or wait until NTP has"
        )


def check_disk(config: Config, free_bytes: Callable[[Path], int]) -> None:
    """Look for room.

    Raises:
        DiskFullError: less is free than `collector.min_free_disk_gb`.
    """
    wanted, base = config.collector.min_free_disk_gb, config.layout.base
    free = free_bytes(base) / _GIGABYTE
    if free < wanted:
        raise DiskFullError(
            f"{base}: {free:.2f} GB free, less than the {wanted:g} GB of collector.min_free_disk_gb"
        )


async def check_symbols(exchange: Exchange, symbols: Sequence[str]) -> None:
    """Ask the exchange whether it lists the symbols: a wrong stream name would be confirmed, and silent.

    Raises:
        UnknownSymbolError: it does not.
        ExchangeError: no answer.
    """
    await _ask(
        exchange, lambda client: registry.check_listed(client, exchange.name, symbols), _REST_TIMEOUT_SEC
    )


async def listed(exchange: Exchange) -> dict[str, Instrument]:
    """Ask the exchange for all that it lists.

    Raises:
        NoListError: it cannot be asked.
        ExchangeError: no answer.
    """
    return await _ask(exchange, lambda client: registry.instruments(client, exchange.name), _LIST_TIMEOUT_SEC)


async def _ask(exchange: Exchange, question: Callable[[Client], Awaitable[_T]], seconds: float) -> _T:
    client = registry.rest_client(exchange.name, exchange.rest_url)
    try:
        async with asyncio.timeout(seconds):
            return await question(client)
    except TimeoutError:
        raise ExchangeError(f"{address(exchange.rest_url)}: no answer within {seconds:g} s") from None
    finally:
        await client.aclose()
