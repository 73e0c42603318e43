"""Binance spot's whole exchangeInfo: an item a symbol, to instruments. Bytes in, instruments out; nothing is asked.

The answer has some six megabytes for 3,500 symbols, of which little is wanted: what is not listed below is skipped
while it is read. An item that is none costs itself, not the others; so does an odd field of one that has a name.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from crypto_lake.errors import NOT_JSON, ExchangeError
from crypto_lake.raw.instruments import Instrument
from crypto_lake.showing import printable

# A text of an answer's, as it may be told.
Quoted = Callable[[str], str]
TRADING = "TRADING"
# Binance lists some 3,500. What an exchange may make us remember ends somewhere.
_MOST = 20_000
# Of what the exchange says in a word.
_LONGEST_WORD = 40
_is_step = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?").fullmatch


class _Filter(Struct):
    """filters.md, "PRICE_FILTER" and "LOT_SIZE"."""

    filterType: str | None = None  # noqa: N815 - the exchange's spelling
    tickSize: str | None = None  # noqa: N815
    stepSize: str | None = None  # noqa: N815


_NO_FILTER = _Filter()


class _Item(Struct):
    symbol: str
    status: str | None = None
    baseAsset: str | None = None  # noqa: N815
    quoteAsset: str | None = None  # noqa: N815
    filters: list[_Filter] = []


class _Limits(Struct):
    symbols: list[Raw]
    rateLimits: Raw = Raw(b"null")  # noqa: N815


_decode = msgspec.json.Decoder(_Limits).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def instruments(body: bytes, quoted: Quoted) -> tuple[dict[str, Instrument], object]:
    """Return what an answer lists, by symbol, and what it says under `rateLimits`.

    Raises:
        ExchangeError: it is no such answer, or nothing in it can be understood.
    """
    try:
        answer = _decode(body)
        limits = msgspec.json.decode(answer.rateLimits)
    except NOT_JSON:
        raise ExchangeError("exchangeInfo: expected a list of symbols in the answer") from None
    found = {one.symbol: one for one in (_instrument(raw, quoted) for raw in answer.symbols[:_MOST]) if one}
    if answer.symbols and not found:
        raise ExchangeError("exchangeInfo: expected symbols in the answer's list")
    return found, limits


def _item(raw: Raw) -> _Item | None:
    try:
        return _decode_item(raw)
    except NOT_JSON:
        # Who is not in the list is recorded no more, so what has a name is in it.
        return _what_can_be_read(raw)


def _what_can_be_read(raw: Raw) -> _Item | None:
    try:
        told = _decode_fields(raw)
    except NOT_JSON:
        return None
    read: dict[str, Any] = {}
    for field in msgspec.structs.fields(_Item):
        with contextlib.suppress(*NOT_JSON, KeyError):
            read[field.name] = msgspec.json.decode(told[field.name], type=field.type)
    return _Item(**read) if "symbol" in read else None


def _instrument(raw: Raw, quoted: Quoted) -> Instrument | None:
    item = _item(raw)
    if item is None:
        return None
    steps = {one.filterType: one for one in item.filters}
    price, size = steps.get("PRICE_FILTER", _NO_FILTER), steps.get("LOT_SIZE", _NO_FILTER)
    return Instrument(
        symbol=_word(item.symbol, quoted),
        status=_word(item.status or "", quoted),
        # What is listed and says no more of itself trades.
        trading=item.status in {None, TRADING},
        base=_word(item.baseAsset, quoted) if item.baseAsset else None,
        quote=_word(item.quoteAsset, quoted) if item.quoteAsset else None,
        tick=_step(price.tickSize),
        lot=_step(size.stepSize),
    )


def _word(text: str, quoted: Quoted) -> str:
    return printable(quoted(text), _LONGEST_WORD)


def _step(text: str | None) -> str | None:
    """Return a step as it was told; None where it is no decimal that the exchange may mean."""
    return text if text is not None and _is_step(text) else None
