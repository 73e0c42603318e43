"""The display of `crypto-lake up`: one screen on a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US
from crypto_lake.operate.up.child import Child
from crypto_lake.raw.collector_status import read_status
from crypto_lake.showing import printable

_LAST_EVENTS = 8
_REFRESH_A_SECOND = 2


class Screen:
    """A table of the children, the collector's own words, and what happened last. A context manager."""

    def __init__(self, config: Config, hints: Sequence[str], console: Console) -> None:
        self._config, self._hints, self._console = config, hints, console
        self._zone = ZoneInfo(config.general.timezone)
        self._events: deque[str] = deque(maxlen=_LAST_EVENTS)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        else:
            self._plain(*self._hints)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def event(self, sentence: str) -> None:
        """Something happened."""
        line = f"{datetime.now(self._zone):%H:%M:%S} {sentence}"
        self._events.append(line)
        if not self._live:
            self._plain(line)

    def show(self, children: Sequence[Child]) -> None:
        """Draw it anew, where there is a screen."""
        if self._live:
            self._live.update(self.page(children), refresh=True)

    def page(self, children: Sequence[Child]) -> Group:
        """Return what is drawn."""
        table = Table("runs", "what", "state", "process", "for", "restarts", title="crypto-lake up")
        for child in children:
            table.add_row(
                child.program.name,
                child.program.what,
                Text(child.state, style="green" if child.pid else "red"),
                str(child.pid or ""),
                _for(child.lived_sec),
                str(child.restarts),
            )
        lines = [*self._hints, f"Collector: {printable(self._collector())}", "", *self._events]
        return Group(table, *(Text(line, overflow="fold") for line in lines))

    def _collector(self) -> str:
        """Return what it says of itself, in a line."""
        try:
            status = read_status(self._config.collector_layout.collector_status)
        except LakeError as error:
            return str(error)
        if status is None:
            return "has not said anything yet"
        age = max(0, clock.now_us(self._config) - status.updated) // SECOND_US
        troubles = [one.trouble for one in status.exchanges if one.trouble]
        return "; ".join([f"{status.state}, last sign {age} s ago", *troubles])

    def _plain(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)


def _for(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if seconds else ""
