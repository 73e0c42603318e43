"""The intake that all connections of one exchange share: where their frames go, and what is told of them.

One thread, and nothing here waits: events that are there after a frame are that frame's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from collector_daemon.clock import Clock
from collector_daemon.connect.refusals import NoticeLog, RefusalLog, SilenceLog
from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.decide.session import Event, Farewell, RefusedFrame, Session
from collector_daemon.land.landing import Landing
from collector_daemon.land.writer import Writer
from crypto_lake.config import Collector
from crypto_lake.exchanges.base import Exchange, Reply
from crypto_lake.layout import day_of
from crypto_lake.raw import journal


@dataclass
class Intake:
    """See the module. `connection` is the number of the last attempt, `last_end` why a connection ended last."""

    name: str
    settings: Collector
    exchange: Exchange
    session: Session
    landing: Landing
    writer: Writer
    clock: Clock
    random: Callable[[], float]
    limit: AttemptLimit
    connection: int = 0
    last_end: str | None = None

    def __post_init__(self) -> None:
        self._refusals = RefusalLog(self.name, self.clock)
        self._notices = NoticeLog(self.name, self.clock)
        self._silences = SilenceLog(self.name, self.clock)

    def next_number(self) -> int:
        """A new connection's number; they count from 1 since the start."""
        self.connection += 1
        return self.connection

    def pass_on(self) -> list[Reply | Farewell]:
        """Hand what happened to the journal and the file of refused frames; the connection's own is returned."""
        concerns: list[Reply | Farewell] = []
        for event in self.session.take_events():
            if isinstance(event, Reply | Farewell):
                concerns.append(event)
            elif isinstance(event, RefusedFrame):
                self._refusals.saw(event)
                self.landing.refuse(event)
            else:
                self._tell(event)
        return concerns

    def note(self, record: journal.AnyRecord) -> None:
        """Enter something in the journal."""
        self.landing.note(record)

    def _tell(self, event: Event) -> None:
        if isinstance(event, journal.ClockOffset):
            self.landing.note(event, day_of(event.minute))
        elif isinstance(event, journal.Record):
            if isinstance(event, journal.Silent):
                self._silences.saw(event.stream, event.seconds)
            if isinstance(event, journal.Notice):
                self._notices.saw()
            self.landing.note(event)
