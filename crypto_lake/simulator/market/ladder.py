"""The levels below the best bid and above the best ask of the synthetic market.

Here belongs the book as a pure function of (update id, best bid, best ask): any moment's book can be had by itself, and
what an id changes is what differs between its book and that of the id before. Prices are in ticks, quantities in steps.

A side has `LEVELS` places, each with a price of its own; about a quarter of them is empty at a time. Each update id
touches one place of one side, in turn, and leaves it with another quantity than it had; where the best price moves, the
places move with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crypto_lake.simulator.market.waves import mixed, uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LEVELS = 64
_IDS_A_ROUND = 2 * LEVELS
# Odd, and so it touches all places of both sides in a round, none near the one before.
_STRIDE = 37
_LEVELS_A_PRICE = (
    50_000  # places from zero up to the price: the book reaches a thousandth of it, or a few, to each side
)
_QTY_BITS = 32


class Tops(NamedTuple):
    """The best bid and ask at update ids, as columns of one length."""

    ids: NDArray[np.int64]
    bid: NDArray[np.int64]
    bid_qty: NDArray[np.int64]
    ask: NDArray[np.int64]
    ask_qty: NDArray[np.int64]


class _Side(NamedTuple):
    """One side of the book at update ids, a row each: the best first, then each place's price and quantity or 0."""

    price: NDArray[np.int64]
    qty: NDArray[np.int64]


class Ladder:
    """The levels of one symbol.

    Args:
        seed: any integer.
        price: about which the price moves, ticks.
        qty: near the median of a trade, steps.
    """

    def __init__(self, seed: int, price: int, qty: int) -> None:
        self._seed = seed
        self._gap = max(1, price // _LEVELS_A_PRICE)
        self._qty = 10 * qty

    def levels(self, tops: Tops) -> tuple[dict[int, int], dict[int, int]]:
        """Bids and asks at the first of the ids, as quantity by price."""
        bids, asks = self._sides(tops)
        return _filled(bids, 0), _filled(asks, 0)

    def changes(self, tops: Tops, lasts: Sequence[int]) -> Iterator[tuple[dict[int, int], dict[int, int]]]:
        """The levels of bids and asks touched since the first id, or the last cut, up to each of these positions.

        As quantity by price when it was last touched, 0 for a level that went, also for one that came in between.
        """
        parts = [_touched(side, lasts) for side in self._sides(tops)]
        yield from zip(*parts, strict=True)

    def _sides(self, tops: Tops) -> tuple[_Side, _Side]:
        bids = self._side(tops.ids, tops.bid, tops.bid_qty, side=0)
        asks = self._side(tops.ids, tops.ask, tops.ask_qty, side=1)
        return bids, asks

    def _side(
        self, ids: NDArray[np.int64], best: NDArray[np.int64], best_qty: NDArray[np.int64], side: int
    ) -> _Side:
        places = np.arange(LEVELS)
        nearest = best // self._gap
        if side:
            nearest += self._price(nearest) <= best
            steps = nearest[:, None] + (places - nearest[:, None]) % LEVELS
        else:
            nearest -= self._price(nearest) >= best
            steps = nearest[:, None] - (nearest[:, None] - places) % LEVELS
        turn = pow(_STRIDE, -1, _IDS_A_ROUND) * (2 * places + side) % _IDS_A_ROUND
        touched = (ids[:, None] - turn) // _IDS_A_ROUND
        price = np.concatenate([best[:, None], self._price(steps)], axis=1)
        qty = np.concatenate([best_qty[:, None], self._quantity(steps, touched, side)], axis=1)
        return _Side(price, qty)

    def _price(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where a place lies: within its gap, not on a grid."""
        within = mixed(self._seed, steps) % np.uint64(self._gap)
        return steps * self._gap + within.astype(np.int64)

    def _quantity(self, steps: NDArray[np.int64], touched: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Steps, mostly small; after each touch another than before it, since odd and even take turns."""
        numbers = (steps << _QTY_BITS) + touched
        chance = uniform(self._seed + 1 + side, numbers)
        is_odd = touched & 1
        is_empty = (is_odd == 0) & (mixed(self._seed + 3 + side, numbers) & np.uint64(1) == 0)
        qty = 1 + is_odd + 2 * (self._qty * chance / (1.02 - chance)).astype(np.int64)
        return np.where(is_empty, 0, qty)


def _filled(side: _Side, row: int) -> dict[int, int]:
    pairs = zip(side.price[row].tolist(), side.qty[row].tolist(), strict=True)
    return {price: qty for price, qty in pairs if qty}


def _touched(side: _Side, lasts: Sequence[int]) -> list[dict[int, int]]:
    """What went and what is there since, row by row: a price that went from one place may be there at another."""
    price, qty = side
    rows, places = np.nonzero((np.diff(price, axis=0) != 0) | (np.diff(qty, axis=0) != 0))
    went = qty[rows, places] > 0
    came = qty[rows + 1, places] > 0
    order = np.argsort(np.concatenate([2 * rows[went], 2 * rows[came] + 1]), kind="stable")
    prices = np.concatenate([price[rows[went], places[went]], price[rows[came] + 1, places[came]]])[order]
    quantities = np.concatenate([np.zeros(went.sum(), np.int64), qty[rows[came] + 1, places[came]]])[order]
    of_rows = np.concatenate([rows[went], rows[came]])[order]
    found, start = [], 0
    for stop in np.searchsorted(of_rows, lasts).tolist():
        found.append(dict(zip(prices[start:stop].tolist(), quantities[start:stop].tolist(), strict=True)))
        start = stop
    return found
