"""Tell the journals of other days where their events lie: received on a quite different one (`journal.Displaced`).

That day gets a folder, if it has none. An exchange that names any time would make one for each day there is, while no
line lands, so a symbol's events of one day of receipt are pointed to from a bounded number of days.
"""

from collections import Counter
from datetime import date

from loguru import logger

from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter

# A clock that is off makes one or two, a replay that is a hundred times as fast as life a hundred.
MOST_DAYS = 128


class Pointers:
    """One exchange's; each is written once, as long as a symbol's lines are received on one day."""

    def __init__(self, diary: JournalWriter) -> None:
        self._diary = diary
        # By symbol: the day that its lines were last received on, and those that point to it.
        self._told: dict[str, tuple[date, set[date]]] = {}

    def tell(self, symbol: str, landed: date, displaced: Counter[date], at: int) -> None:
        """Point from the days of events to the folder in which they lie; from those of the most events, if too many.

        Raises:
            OSError: the disk refused; call it again.
        """
        day, told = self._told.get(symbol, (landed, set[date]()))
        told = told if day == landed else set()
        self._told[symbol] = landed, told
        for event_day, _ in displaced.most_common():
            if event_day in told:
                continue
            if len(told) < MOST_DAYS:
                pointer = journal.Displaced(at=at, symbol=symbol, landed=landed.isoformat())
                self._diary.write(pointer, event_day)
            elif len(told) == MOST_DAYS:
                logger.error(
                    "{} {}: events of more than {} other days: those of the rest are in no bars",
                    symbol,
                    landed,
                    MOST_DAYS,
                )
            else:
                return
            told.add(event_day)
