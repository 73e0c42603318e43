"""The exchange's request interface: is it reachable, what time is it there, does it list and trade the symbols."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crypto_lake import clock, patterns
from crypto_lake.config import Config, Exchange
from crypto_lake.errors import ExchangeError, NoListError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import ProbedClient, State
from crypto_lake.operate.doctor.finding import Finding
from crypto_lake.raw import instruments
from crypto_lake.showing import address

# The answer with the shortest way there and back says most about the clock.
_TIMES_ASKED = 5
# For the time, and again for the symbols: a client tries five times for half a minute each, and a person waits here.
_PATIENCE_SEC = 30.0
# Beyond this the local clock puts segments on the wrong day often enough to matter.
_USELESS_CLOCK_SEC = 60.0


@dataclass
class Asked:
    """The findings from all answers.

    `trading` are the configured symbols that the exchange lists and trades now; `offset_us` is how far the lake's clock
    is ahead of the exchange's.
    """

    findings: list[Finding] = field(default_factory=list)
    trading: list[str] = field(default_factory=list)
    offset_us: int = 0


async def ask(
    config: Config,
    exchange: Exchange,
    make: Callable[[str, str], ProbedClient] = registry.rest_client,
    patience_sec: float = _PATIENCE_SEC,
) -> Asked:
    """Ask an exchange the time, and for the state of the configured symbols; `make` makes its client.

    Each of the two may take `patience_sec`.
    """
    found = Asked()
    try:
        client = make(exchange.name, exchange.rest_url)
    except ExchangeError as error:
        found.findings.append(Finding.failed("requests", str(error)))
        return found
    try:
        async with asyncio.timeout(patience_sec):
            await _time(client, config, exchange, found)
        async with asyncio.timeout(patience_sec):
            await _symbols(client, exchange, found)
    except TimeoutError:
        found.findings.append(
            _unheard(f"{address(exchange.rest_url)}: no whole answer within {patience_sec:g} s")
        )
    except ExchangeError as error:
        found.findings.append(_unheard(str(error)))
    except NoListError as error:
        found.findings.append(Finding.failed("symbols", str(error)))
    finally:
        await client.aclose()
    return found


def _unheard(why: str) -> Finding:
    advice = "see exchanges.rest_url, and whether this network and country let it through"
    return Finding.failed("requests", f"{why}; {advice}")


async def _time(client: ProbedClient, config: Config, exchange: Exchange, found: Asked) -> None:
    best, microseconds, place = float("inf"), True, None
    for _ in range(_TIMES_ASKED):
        began, sent_us = time.monotonic(), clock.now_us(config)
        told = await client.time()
        took, now_us = time.monotonic() - began, clock.now_us(config)
        microseconds, place = told.in_microseconds, told.answered_by or place
        if took < best:
            best, found.offset_us = took, (sent_us + now_us) // 2 - told.us
    where = f", answered by {place}" if place else ""
    found.findings += [
        Finding.ok("requests", f"{exchange.name} answers in {best * 1000:.0f} ms{where}"),
        _offset(config, found.offset_us / 1e6),
        _unit(microseconds),
    ]


def _offset(config: Config, seconds: float) -> Finding:
    text = f"{abs(seconds):.3f} s {'ahead of' if seconds > 0 else 'behind'} the exchange's"
    if abs(seconds) <= config.checks.max_clock_offset_sec:
        return Finding.ok("clock", text)
    advice = "let this machine's clock be set by the network (NTP)"
    if abs(seconds) <= max(_USELESS_CLOCK_SEC, config.checks.max_clock_offset_sec):
        return Finding.warning("clock", f"{text}: quotes are put right by it, but {advice}")
    return Finding.failed("clock", f"{text}: {advice}")


def _unit(microseconds: bool) -> Finding:
    if microseconds:
        return Finding.ok("request times", "in microseconds, as asked for")
    return Finding.warning("request times", "in milliseconds although microseconds were asked for")


async def _symbols(client: ProbedClient, exchange: Exchange, found: Asked) -> None:
    wanted, states = await _wanted(client, exchange)
    found.trading = [symbol for symbol in wanted if symbol in states and states[symbol].trades]
    unknown = [symbol for symbol in wanted if symbol not in states]
    resting = [f"{symbol} ({state.word})" for symbol, state in states.items() if not state.trades]
    if unknown:
        found.findings.append(
            Finding.failed("symbols", f"not listed: {', '.join(unknown)}; see exchanges.symbols")
        )
    if resting:
        found.findings.append(
            Finding.warning("symbols", f"listed, but not trading now: {', '.join(resting)}")
        )
    if found.trading:
        found.findings.append(Finding.ok("symbols", f"{len(found.trading)} listed and trading"))
    if not wanted:
        found.findings.append(
            Finding.failed("symbols", "exchanges.symbols and exclude leave nothing that the exchange trades")
        )


async def _wanted(client: ProbedClient, exchange: Exchange) -> tuple[list[str], dict[str, State]]:
    """Return the symbols that the configuration means, and the state of those that are listed."""
    if not patterns.has_patterns(exchange.symbols):
        names = patterns.chosen(exchange.symbols, exchange.exclude, ())
        return names, await client.states(names) if names else {}
    listed = await registry.instruments(client, exchange.name)
    wanted = patterns.chosen(exchange.symbols, exchange.exclude, instruments.trading(listed))
    there = [listed[symbol] for symbol in wanted if symbol in listed]
    return wanted, {one.symbol: State(one.status, one.trading) for one in there}
