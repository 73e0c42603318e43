"""The exchange's streams: is each address reachable, and do two connections bring the same."""

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from collector_daemon.connect.faults import described
from crypto_lake import showing
from crypto_lake.config import Exchange
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Exchange as Known
from crypto_lake.exchanges.base import Refused, Reply, Said, WireFormat
from crypto_lake.operate.doctor.finding import Finding
from crypto_lake.raw.lines import QUOTE, TRADE, RawLine, stream_of

_TIMEOUT_SEC = 10.0
_LARGEST_MESSAGE = 1 << 20
_SHOWN = 3
# Of several symbols with some business one has a new quote sooner.
_SILENT_SEC = 20.0
_ADVICE = "see whether this network lets it through"


async def reach(exchange: Exchange, symbols: Sequence[str]) -> list[Finding]:
    """Connect to each configured address, and subscribe to the symbols there."""
    known = registry.exchange(exchange.name).recording(exchange.streams)
    urls = [exchange.wss_url, *exchange.fallback_wss_urls]
    return [await _reach(known, url, symbols, is_first=number == 0) for number, url in enumerate(urls)]


async def _reach(known: Known, url: str, symbols: Sequence[str], *, is_first: bool) -> Finding:
    wire, where = known.wire, showing.address(url)
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(_TIMEOUT_SEC):
            connection = await _open(wire, url)
            async with connection:
                address = connection.remote_address[0]
                if symbols:
                    await connection.send(wire.subscribe(known.names(symbols[0]), 1))
                    await _confirmed(connection, wire)
    except (OSError, WebSocketException, TimeoutError) as error:
        outcome = Finding.failed if is_first else Finding.warning
        reason = described(error, lambda text: showing.without_secrets(text, url))
        return outcome("streams", f"{where}: {reason}; {_ADVICE}")
    took = asyncio.get_running_loop().time() - began
    return Finding.ok("streams", f"{where} ({address}) subscribed in {took * 1000:.0f} ms")


async def _open(wire: WireFormat, url: str) -> ClientConnection:
    try:
        return await connect(
            wire.url(url),
            open_timeout=_TIMEOUT_SEC,
            ping_interval=None,
            close_timeout=1,
            compression=None,
            max_size=_LARGEST_MESSAGE,
            proxy=None,
        )
    except socket.gaierror:
        raise
    except ValueError as error:
        # A port that is no number, a host name that is none: the library tells them so.
        raise OSError(str(error)) from None


async def _confirmed(connection: ClientConnection, wire: WireFormat) -> None:
    """Wait for the answer to the first request, or for market data, which says the same."""
    async for frame in connection:
        for said in _decoded(wire, frame):
            if isinstance(said, Reply) and said.error:
                raise OSError(f"the subscription was refused: {said.error}")
            if isinstance(said, Reply | RawLine):
                return


def _decoded(wire: WireFormat, frame: str | bytes) -> list[Said]:
    said = wire.decode(frame.encode() if isinstance(frame, str) else frame, 0)
    return said if isinstance(said, list) else [said]


@dataclass
class Heard:
    """The ids that one connection brought, by symbol and stream, where they are the exchange's.

    `refused` counts the frames that were no lines, `refusal` says why. `end` is why the connection ended, None if it
    held; `silent_sec` how long nothing had come when listening ended.
    """

    ids: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    refused: int = 0
    refusal: str = ""
    end: str | None = None
    silent_sec: float = 0.0
    newest: float = 0.0


async def listen(exchange: Exchange, symbols: Sequence[str], stop: asyncio.Event) -> Heard:
    """Keep one connection of one's own until `stop` is set, and remember which ids came."""
    heard, known = Heard(), registry.exchange(exchange.name).recording(exchange.streams)
    try:
        async with await _open(known.wire, exchange.wss_url) as connection:
            taking = asyncio.ensure_future(_take(connection, known, heard))
            try:
                await _subscribe(connection, known, symbols)
                stopping = asyncio.ensure_future(stop.wait())
                await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if taking.done():
                    heard.end = "closed by the exchange"
            finally:
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)
    except (OSError, WebSocketException, TimeoutError) as error:
        heard.end = described(error, lambda text: showing.without_secrets(text, exchange.wss_url))
    heard.silent_sec = time.monotonic() - heard.newest
    return heard


async def _subscribe(connection: ClientConnection, known: Known, symbols: Sequence[str]) -> None:
    streams = [name for symbol in symbols for name in known.names(symbol)]
    at_once = known.limits.streams_a_request
    for number, start in enumerate(range(0, len(streams), at_once), start=1):
        await connection.send(known.wire.subscribe(streams[start : start + at_once], number))
        await asyncio.sleep(known.limits.request_pace_sec)


async def _take(connection: ClientConnection, known: Known, heard: Heard) -> None:
    what = known.capabilities
    has_id = {TRADE: what.trade_ids != "none", QUOTE: what.quotes_have_id}
    async for frame in connection:
        for said in _decoded(known.wire, frame):
            if isinstance(said, RawLine):
                heard.newest = time.monotonic()
                # Events of the order book are not compared: two connections may cut them differently. An id that the
                # wire makes may be of the time of receipt, which differs between connections.
                if has_id[stream := stream_of(said)]:
                    heard.ids.setdefault((said.symbol, stream.name), set()).add(said.id)
            elif isinstance(said, Refused):
                heard.refused, heard.refusal = heard.refused + 1, said.reason


def compare(one: Heard, other: Heard) -> list[Finding]:
    """Hold what two connections brought against each other, where both were listening."""
    findings = [
        Finding.warning("connections", f"one ended: {heard.end}; the collector would connect again")
        for heard in (one, other)
        if heard.end
    ]
    if refused := one.refused or other.refused:
        reason = one.refusal or other.refusal
        findings.append(
            Finding.failed(
                "frames", f"{refused} could not be understood ({reason}); the format may have changed"
            )
        )
    if not one.ids and not other.ids:
        return [*findings, Finding.failed("connections", f"neither brought any market data; {_ADVICE}")]
    silent = min(one.silent_sec, other.silent_sec)
    if silent > _SILENT_SEC:
        findings.append(Finding.warning("connections", f"nothing came in the last {silent:.0f} s; {_ADVICE}"))
    return [*findings, _difference(one, other)]


def _difference(one: Heard, other: Heard) -> Finding:
    compared, different = 0, []
    for key in sorted(one.ids.keys() | other.ids.keys()):
        left, right = one.ids.get(key, set()), other.ids.get(key, set())
        if not left or not right:
            different += [(*key, "on one of them only")] if len(left | right) > 1 else []
            continue
        first, last = max(min(left), min(right)), min(max(left), max(right))
        both = {number for number in left | right if first <= number <= last}
        compared += len(both)
        different += [(*key, str(number)) for number in sorted(both - (left & right))]
    if different:
        told = "; ".join(" ".join(words) for words in different[:_SHOWN])
        return Finding.warning(
            "connections",
            f"{len(different)} messages came over one of two only ({told}); keep collector.connections at 2",
        )
    return Finding.ok("connections", f"two brought the same {compared:,} messages")
