"""The collector's status file, `state/collector.json`: what is in it, how it is written, how others read it.

Replaced as a whole about once a second. All times are µs UTC of the collector's clock; `None` means "not yet".
"""

from pathlib import Path
from typing import Literal

import msgspec
from loguru import logger
from msgspec import Struct

from crypto_lake.disk import publish
from crypto_lake.errors import NOT_JSON, LakeError

State = Literal["connecting", "listening", "disk trouble", "stopped"]


class SymbolStatus(Struct, frozen=True, kw_only=True):
    """One symbol. Counters count since the collector started.

    `trades`, `quotes`: lines kept. `last_trade_event`: the exchange's time of the newest trade. `last_frame`: when
    anything of this symbol came last. `latency_*_us`: from the exchange's stamp to receipt, over the newest trades of
    the last whole minute (of the first, while it runs), and `offset_us` the smallest of them; they include how far
    the local clock is off. `gaps`: how many holes there were in the trade ids, and `missing` how many trades.
    `duplicates`: trades and quotes that had come before. `pending_bytes`: in memory, not yet handed to the disk.
    `segments_sealed`: files finished. `current_segment`: the name of the open one.
    Of the order book, None where it is not recorded: `depth`: events kept, `book_breaks`: how often their chain broke,
    `last_anchor`: when the last snapshot came.
    """

    symbol: str
    trades: int
    quotes: int
    last_trade_event: int | None
    last_frame: int | None
    latency_p50_us: int | None
    latency_p99_us: int | None
    latency_max_us: int | None
    offset_us: int | None
    gaps: int
    missing: int
    duplicates: int
    pending_bytes: int
    segments_sealed: int
    current_segment: str | None
    depth: int | None = None
    book_breaks: int | None = None
    last_anchor: int | None = None


class ExchangeStatus(Struct, frozen=True, kw_only=True):
    """One exchange's connections.

    `connection`: how many attempts there were. `connected_since`: since when somebody has listened to every symbol,
    None while nobody does. `live`: how many connections are subscribed. `last_frame`: the newest frame, pings included.
    `last_end`: why a connection ended last.
    `rejected`: refused frames, which were no market data and no answer. `held_bytes`: in memory, not yet on disk.
    `trouble`: what the disk last refused with, None while it obeys.
    """

    name: str
    url: str
    state: State
    connection: int
    connected_since: int | None
    live: int
    last_frame: int | None
    last_end: str | None
    rejected: int
    held_bytes: int
    trouble: str | None
    symbols: list[SymbolStatus]


class Status(Struct, frozen=True, kw_only=True):
    """The whole file. `state` is the worst of the exchanges'; `reason` why it stopped, None while it runs.

    A file that says anything but "stopped" and was `updated` long ago is that of a collector that died.
    """

    pid: int
    version: str
    state: State
    reason: str | None
    started: int
    updated: int
    updated_iso: str
    exchanges: list[ExchangeStatus]


_decode = msgspec.json.Decoder(Status).decode


def read_status(path: Path) -> Status | None:
    """Return what a collector last said of itself; None where there is no such file.

    Raises:
        LakeError: it cannot be read, or is not a status file.
    """
    try:
        return _decode(publish.read(path))
    except FileNotFoundError:
        return None
    except (OSError, *NOT_JSON) as error:
        raise LakeError(f"{path}: not a status file of this collector: {error}") from None


class StatusFile:
    """Writes the file. That nobody can read the status is no reason to stop recording."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def write(self, status: Status) -> None:
        """Replace the file; a failure is logged once, until it works again."""
        try:
            publish.write(self._path, msgspec.json.format(msgspec.json.encode(status)))
        except OSError as error:
            if not self._failing:
                logger.warning("the status file cannot be replaced: {}", error)
            self._failing = True
        else:
            self._failing = False
