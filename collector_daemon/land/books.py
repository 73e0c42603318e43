"""Lines of the order book in memory on their way to disk: gathered by symbol, beside the ticks. No I/O.

They lie in segments of their own, which are cut where those of ticks are, and by their own size. Where no book is
recorded nothing here holds anything.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from collector_daemon.decide.depth_tally import DepthTally
from collector_daemon.land.jobs import Append, Seal
from collector_daemon.land.rotation import Rotation
from crypto_lake.layout import day_of
from crypto_lake.raw.lines import OF_BOOK, BookLine

# What a line and each of its levels take in memory, roughly: a tuple with two strings.
_LINE_SIZE, _LEVEL_SIZE = 512, 200

_encode = msgspec.json.Encoder().encode


def memory_of(line: BookLine) -> int:
    """Return how many bytes of memory a line holds, roughly."""
    return _LINE_SIZE + _LEVEL_SIZE * (len(line.bids) + len(line.asks))


class _Pending:
    """One symbol's lines of the running window: those not handed over yet, and the tally of those that were.

    `begun` is when the window began, µs UTC; `size` how many bytes were handed over.
    """

    __slots__ = ("begun", "lines", "size", "tally")

    def __init__(self, begun: int) -> None:
        self.lines: list[BookLine] = []
        self.begun = begun
        self.size = 0
        self.tally = DepthTally(day_of(begun))


class Books:
    """See the module. `queue` takes the jobs, in order; while `is_disk_behind` nothing is cut by its size."""

    def __init__(
        self, rotation: Rotation, queue: Callable[[Append | Seal], None], is_disk_behind: Callable[[], bool]
    ) -> None:
        self._rotation = rotation
        self._queue = queue
        self._is_disk_behind = is_disk_behind
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        """Return of how many symbols there is something."""
        return len(self._pending)

    def add(self, lines: Sequence[BookLine], now: int) -> None:
        """Keep lines that came at `now`."""
        for line in lines:
            if line.symbol not in self._pending:
                self._pending[line.symbol] = _Pending(now)
            self._pending[line.symbol].lines.append(line)

    def hand_over(self, symbols: Iterable[str] | None = None) -> None:
        """Make jobs of what waits of symbols; None: of all."""
        for symbol in tuple(self._pending) if symbols is None else symbols:
            if (pending := self._pending.get(symbol)) and pending.lines:
                self._hand_over(symbol, pending)

    def cut(self, now: int, symbols: Iterable[str] | None = None) -> None:
        """End the windows of symbols, None: of all; the next ones begin with their next lines."""
        for symbol in tuple(self._pending) if symbols is None else symbols:
            self.hand_over([symbol])
            if symbol in self._pending:
                self._seal(symbol, now)

    def due(self, symbols: Sequence[str], border: int) -> list[str]:
        """Return those of symbols whose windows are worth a segment at a border."""
        self.hand_over(symbols)
        found = ((symbol, self._pending.get(symbol)) for symbol in symbols)
        quiet = self._rotation.is_quiet
        return [symbol for symbol, one in found if one and not quiet(border - one.begun, one.size)]

    def memory(self, symbol: str) -> int:
        """Return how many bytes of a symbol's lines are in memory and not yet with the writer, roughly."""
        pending = self._pending.get(symbol)
        return sum(map(memory_of, pending.lines)) if pending else 0

    def unwritten(self) -> Counter[str]:
        """Return how many lines of each symbol wait here."""
        return Counter({symbol: len(pending.lines) for symbol, pending in self._pending.items()})

    def _hand_over(self, symbol: str, pending: _Pending) -> None:
        """Begin a segment wherever one would be larger than it may be; a line by itself always fits."""
        lines, pending.lines = pending.lines, []
        some, content = list[BookLine](), bytearray()
        for line in lines:
            encoded = _encode(line) + b"\n"
            if self._is_full(pending.size + len(content), len(encoded)):
                self._append(symbol, some, content)
                self._seal(symbol, line.ts_recv)
                # Not now: an hour, or a day, may have begun since these lines came.
                pending = self._pending[symbol] = _Pending(line.ts_recv)
                some, content = [], bytearray()
            some.append(line)
            content += encoded
        self._append(symbol, some, content)

    def _is_full(self, size: int, more: int) -> bool:
        most = self._rotation.most_bytes
        return most is not None and size > 0 and size + more > most and not self._is_disk_behind()

    def _append(self, symbol: str, lines: Sequence[BookLine], content: bytearray) -> None:
        if lines:
            pending = self._pending[symbol]
            pending.tally.add_all(lines)
            pending.size += len(content)
            memory = sum(map(memory_of, lines))
            self._queue(Append(symbol, pending.tally.day, bytes(content), memory, OF_BOOK))

    def _seal(self, symbol: str, now: int) -> None:
        self._queue(Seal(symbol, now, self._pending.pop(symbol).tally, [], OF_BOOK))
