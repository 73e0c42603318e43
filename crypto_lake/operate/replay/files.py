"""The files of a day that is to be replayed: which symbols have it, and their ticks and books, opened."""

from collections.abc import Sequence
from datetime import date, timedelta

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.operate.replay import heard
from crypto_lake.operate.replay.depth import DayOfDepth, Groups
from crypto_lake.operate.replay.rows import Pieces, Rows
from crypto_lake.operate.replay.tape import QUOTE_COLUMNS, TRADE_COLUMNS, Recorded
from crypto_lake.raw import instruments
from crypto_lake.raw.intervals import union
from crypto_lake.raw.kept import read_kept
from crypto_lake.raw.lines import QUOTE, TICKS, TRADE
from crypto_lake.series import Series
from crypto_lake.transform.book import begins_with
from crypto_lake.transform.book_kept import read_kept as read_kept_book
from crypto_lake.transform.depth import read_kept as read_kept_depth

# Whose protocol the bundled exchange speaks.
EXCHANGE = "binance"
# So many symbols are named.
_TOLD = 20
# So many rows of ticks are in memory, of all symbols together: 70 MB.
_ROWS = 1_000_000
# So many row groups of depth: 20 MB each of a busy symbol.
_GROUPS = 8
# Of so many level changes a book is carried through the day before, for the last moments of it: within 20 seconds.
_MOST_CARRIED = 5_000_000


def series(config: Config, day: date, symbols: Sequence[str]) -> list[Series]:
    """Return those that have ticks of a day, of some symbols or of all.

    Raises:
        LakeError: the day is not over, or one of the symbols, or all, have none.
    """
    base = config.layout.base
    if day_start_us(day) + DAY_US > clock.now_us(config):
        raise LakeError(f"{day} is not over (UTC): finished days are replayed; expected an earlier day")
    known = [one for one in Series.known(config) if one.exchange == EXCHANGE]
    names = [one.symbol for one in known]
    for symbol in symbols:
        if symbol not in names:
            raise LakeError(
                f"{base}: nothing of {symbol}; expected one of {', '.join(names[:_TOLD]) or 'none'}"
            )
    wanted = [one for one in known if not symbols or one.symbol in symbols]
    found = [one for one in wanted if read_kept(one.layout, one.exchange, one.symbol, day)]
    lacking = [one.symbol for one in wanted if one not in found and symbols]
    if lacking or not found:
        raise LakeError(
            f"{base}: no ticks of {', '.join(lacking) or 'any symbol'} of {day}; crypto-lake compact --date makes them "
            "of finished days"
        )
    return found


def opened(config: Config, found: Sequence[Series], day: date, near_us: int) -> dict[str, Recorded]:
    """Open what a lake has of a day, by symbol; `near_us` as in `DayOfDepth`.

    Raises:
        LakeError: a file cannot be read.
    """
    pieces, groups = Pieces(2 * len(TICKS) * len(found), _ROWS), Groups(_GROUPS)
    newest = instruments.newest(config.layout, EXCHANGE)
    listed: instruments.Table = newest[1] if newest else {}
    return {
        one.symbol: _recorded(one, day, pieces, listed.get(one.symbol), _depth(one, day, groups, near_us))
        for one in found
    }


def _depth(series: Series, day: date, groups: Groups, near_us: int) -> list[DayOfDepth]:
    """Return the depth of the day before, if there is any, and of a day; nothing where none was recorded of it."""
    if read_kept_depth(series, day) is None:
        return []
    found = []
    for one in (day - timedelta(days=1), day):
        if kept := read_kept_depth(series, one):
            end_us = day_start_us(one) + DAY_US if one == day or kept.rows <= _MOST_CARRIED else 0
            before = read_kept_book(series, one - timedelta(days=1))
            carried = begins_with(series, one, kept, before) if end_us else None
            path = series.layout.depth(series.exchange, series.symbol, one)
            found.append(DayOfDepth(path, carried, groups, near_us, end_us))
    return found


def _recorded(
    series: Series,
    day: date,
    pieces: Pieces,
    listed: instruments.Instrument | None,
    depth: Sequence[DayOfDepth],
) -> Recorded:
    layout, where = series.layout, (series.exchange, series.symbol)
    earlier = (one for one in reversed(layout.ticks_days(*where)) if one < day)
    before = next((one for one in earlier if read_kept(layout, *where, one)), None)
    days = [day] if before is None else [before, day]
    trades, quotes = (
        [Rows(layout.ticks(*where, stream.table, one), columns, pieces) for one in days]
        for stream, columns in ((TRADE, TRADE_COLUMNS), (QUOTE, QUOTE_COLUMNS))
    )
    kept = {one: read_kept(layout, *where, one) for one in days}
    listened = union(stretch for it in kept.values() if it for stretch in it.listened)
    own = kept[day]
    start_us = day_start_us(day)
    lost = heard.lost(own.listened if own else [], start_us, start_us + DAY_US)
    return Recorded(series, trades, quotes, days, listened, lost, listed, depth)
