"""Candles made a second time, slowly and in decimal arithmetic, from rows as the wire carries them."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any


def candles(rows: Iterable[dict[str, Any]], interval: int) -> dict[int, list[Any]]:
    """open time -> the nine columns that count, from `historicalTrades` rows; zeros stripped by Decimal's equality."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        groups.setdefault(row["time"] // interval * interval, []).append(row)
    return {open_time: columns(trades) for open_time, trades in groups.items()}


def columns(trades: list[dict[str, Any]]) -> list[Any]:
    prices = [Decimal(trade["price"]) for trade in trades]
    taken = [trade for trade in trades if not trade["isBuyerMaker"]]
    return [
        prices[0], max(prices), min(prices), prices[-1], volume(trades), quote_volume(trades), len(trades),
        volume(taken), quote_volume(taken),
    ]  # fmt: skip


def volume(trades: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(trade["qty"]) for trade in trades), Decimal(0))


def quote_volume(trades: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(trade["price"]) * Decimal(trade["qty"]) for trade in trades), Decimal(0))


def of_kline(row: list[Any]) -> list[Any]:
    """The same nine columns of a `klines` row."""
    return [*map(Decimal, row[1:6]), Decimal(row[7]), int(row[8]), *map(Decimal, row[9:11])]
