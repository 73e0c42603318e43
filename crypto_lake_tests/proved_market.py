"""A made-up market with a book and quotes in one id space, recorded for half a minute; quotes or events may be lost."""

from collections.abc import Callable
from decimal import Decimal

import duckdb
import msgspec

from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, book, daily, depth, ticks
from crypto_lake_tests import book_lines, raw_lines
from crypto_lake_tests.raw_lines import DAY, LATER, START, quote, trade

Duck = duckdb.DuckDBPyConnection
EVENTS, FIRST = 300, 100
Best = tuple[Decimal, Decimal, Decimal, Decimal]


class Told:
    """The market: its events, the best after each id from `FIRST` on, and the quotes that tell of each change."""

    def __init__(self) -> None:
        self.market = book_lines.Market(11, FIRST + 2 * EVENTS)
        cuts = list(range(FIRST, FIRST + 2 * EVENTS + 1, 2))
        self.events = self.market.events(cuts)[1:]
        self.best = {number: self._best(number) for number in range(FIRST, FIRST + 2 * EVENTS + 1)}

    def _best(self, number: int) -> Best:
        bids, asks = self.market.state(number)
        return max(bids), bids[max(bids)], min(asks), asks[min(asks)]

    def quotes(self, is_lost: Callable[[int], bool]) -> list[RawLine]:
        """Return the quotes that came, each as late as the trades are."""
        found = [self._quote(FIRST, self.events[0].ts_recv - 90_000)]
        for one in self.events:
            ids = range(one.first_id or 0, one.id + 1)
            changed = [number for number in ids if self.best[number] != self.best[number - 1]]
            found += [self._quote(number, one.ts_recv) for number in changed if not is_lost(number)]
        return found

    def _quote(self, number: int, recv: int) -> RawLine:
        bid, bid_qty, ask, ask_qty = (f"{value:.8f}" for value in self.best[number])
        return msgspec.structs.replace(quote(number, recv, bid, ask), bid_qty=bid_qty, ask_qty=ask_qty)


def record(
    duck: Duck,
    series: Series,
    is_lost: Callable[[int], bool] = lambda _: False,
    event_is_lost: Callable[[int], bool] = lambda _: False,
    *,
    of_book: bool = True,
) -> Told:
    """Land what came of it, and make everything of the day but the proof; ids say what was lost.

    `of_book`: the depth and the book as well.
    """
    told = Told()
    lines = [trade(n, START + n * 1_000_000 + 500_000) for n in range(30)] + told.quotes(is_lost)
    raw_lines.land(series.config, lines)
    came = [one for one in told.events if not event_is_lost(one.id)]
    last = told.market.snapshot(FIRST + 2 * EVENTS, START + 40_000_000)
    book_lines.land(series.config, [told.market.snapshot(FIRST, START), *came, last])
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    if of_book:
        depth.make(duck, series, DAY, LATER)
        book.make(series, DAY)
    return told
