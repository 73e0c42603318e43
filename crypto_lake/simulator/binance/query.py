"""A REST request's parameters, and the exchange's words for those that are wrong.

Here belongs reading parameters as the exchange does (rest-api.md, errors.md); what is answered is not known here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_lake.simulator.server.exchange import SimulatedExchange

DEFAULT_LIMIT, MOST = 500, 1000
_NUMBER = re.compile(r"[0-9]{1,20}")
_ZONE = re.compile(r"(?P<sign>[+-]?)(?P<hours>\d{1,2})(?::(?P<minutes>\d\d))?")
_MINUTE_US = 60_000_000
_ZONES_US = range(-12 * 60 * _MINUTE_US, 14 * 60 * _MINUTE_US + 1)
_FIRST_MICROSECONDS = 10**14  # as milliseconds the year 5138: the exchange, too, takes either unit


class RequestError(Exception):
    """A request the exchange refuses, with its own code and message; HTTP 400."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.body = {"code": code, "msg": message}


class Query(NamedTuple):
    """A request: its parameters as sent, the unit times are answered in, the market's time."""

    params: Mapping[str, str]
    unit_us: int
    now_us: int

    def mandatory(self, name: str) -> str:
        """The parameter's text; -1102 where there is none."""
        text = self.params.get(name, "")
        if not text:
            raise RequestError(
                -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            )
        return text

    def number(self, name: str) -> int | None:
        """The parameter as a number; None where it was not sent; -1100 for anything else."""
        text = self.params.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(text)

    def limit(self, default: int = DEFAULT_LIMIT, most: int = MOST) -> int:
        """Return how many rows; more than the most is the most."""
        limit = self.number("limit")
        if limit == 0:
            raise invalid("limit")
        return min(limit or default, most)

    def time_us(self, name: str) -> int | None:
        """A time sent in milliseconds or microseconds, as microseconds."""
        value = self.number(name)
        if value is None:
            return None
        return value if value >= _FIRST_MICROSECONDS else value * 1000

    def until_us(self, name: str) -> int | None:
        """A time as the end of what is asked for, inclusive: of a millisecond its last microsecond."""
        value = self.number(name)
        if value is None:
            return None
        return value if value >= _FIRST_MICROSECONDS else value * 1000 + 999

    def ahead_us(self) -> int:
        """Return how far the time zone asked for is ahead of UTC."""
        text = self.params.get("timeZone", "0")
        zone = _ZONE.fullmatch(text)
        if not zone:
            raise illegal("timeZone", "^[+-]?[0-9]{1,2}(:[0-9]{2})?$")
        minutes = int(zone["hours"]) * 60 + int(zone["minutes"] or 0)
        ahead_us = minutes * _MINUTE_US * (-1 if zone["sign"] == "-" else 1)
        if ahead_us not in _ZONES_US:
            raise invalid("timeZone")
        return ahead_us


def illegal(name: str, legal: str) -> RequestError:
    """The refusal of a parameter that is not written as it must be."""
    return RequestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def invalid(name: str) -> RequestError:
    """The refusal of a parameter whose value cannot be meant."""
    return RequestError(-1130, f"Data sent for parameter '{name}' is not valid.")


def symbol_of(exchange: SimulatedExchange, query: Query) -> str:
    """The one symbol that must be asked for, in the status asked for."""
    symbol = known(exchange, query.mandatory("symbol"))
    if not is_in_status(exchange, query, symbol):
        raise RequestError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return symbol


def known(exchange: SimulatedExchange, symbol: str) -> str:
    """The same symbol; -1121 for one that is not listed."""
    if exchange.status(symbol) is None:
        raise RequestError(-1121, "Invalid symbol.")
    return symbol


def is_in_status(exchange: SimulatedExchange, query: Query, symbol: str) -> bool:
    """Return whether the symbol has the status asked for, if one was."""
    status = query.params.get("symbolStatus")
    if status not in (None, "TRADING", "HALT", "BREAK"):
        raise RequestError(-1122, "Invalid symbolStatus.")
    return status is None or exchange.status(symbol) == status


def symbols_asked(params: Mapping[str, str]) -> list[str] | None:
    """What `symbol` or `symbols` ask for; None where neither was sent."""
    one, several = params.get("symbol"), params.get("symbols")
    if one and several:
        raise RequestError(-1128, "Combination of optional parameters invalid.")
    if several is None:
        return [one] if one else None
    try:
        symbols = json.loads(several)
    except json.JSONDecodeError:
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise illegal("symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$')
    return symbols
