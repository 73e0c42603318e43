"""Capabilities: what an exchange's data can prove. Checks and healing conclude from these, and from no exchange's name.

`docs/ADD_AN_EXCHANGE.md` says for each what counts as evidence. Where there is none, the lesser value is the true one:
a check then answers "unverifiable", where a false claim would make it say "passed".
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

# contiguous: a symbol's next trade has the next id, so an id that is not there is a missing trade.
# rising: ids rise with time and skip, so they tell copies and order, and never loss.
# none: the exchange sends no id, and the wire makes one; it tells copies, and proves nothing.
TradeIds = Literal["contiguous", "rising", "none"]
Candles = Literal["with taker volumes", "without taker volumes", "none"]


@dataclass(frozen=True)
class PastTrades:
    """Trades that can be asked for later.

    `by` their ids (see `base.IdTrades`) or the time (see `base.TimedTrades`); `at_once` is how many a request brings at
    most; `back` how far back they go, None: as far as the exchange.
    """

    by: Literal["id", "time"]
    at_once: int
    back: timedelta | None = None


@dataclass(frozen=True)
class Capabilities:
    """See the module. `past_trades` None: what was lost is lost.

    `quotes_have_id`: each quote has an id of the exchange's that rises; `quotes_have_time`: a time of the exchange's.
    `depth`: there is a stream of the order book's changes whose events have the first and the last of their ids, each
    event's first one above the last of the one before; quotes count in the same ids, and so does a book that can be
    asked for (see `base.BookClient`).
    """

    trade_ids: TradeIds
    past_trades: PastTrades | None
    candles: Candles
    quotes_have_id: bool
    quotes_have_time: bool
    depth: bool = False
