"""The logs under `logs/`: one loguru file a purpose, a new one each day, kept for 14 days.

Who imports the package as a library hears nothing; the commands, the collector and Dagster's runs `start` the logs.
Times are shown in the configured time zone; data never is. Light, for the collector.
"""

import logging
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from loguru import logger
from loguru._file_sink import FileSink  # type: ignore[import-not-found,import-untyped,unused-ignore]

from crypto_lake.showing import printable

if TYPE_CHECKING:
    from loguru import Message, Record

    from crypto_lake.config import Config

Purpose = Literal["collector", "transformer", "validation", "up", "ship"]
_FORMAT = "{extra[when]} {level: <7} {extra[shown]}\n"
_LONGEST = 5000
_LONGEST_TRACEBACK = 50_000
# At INFO and DEBUG they log addresses and headers with the passwords in them.
_TALKATIVE = ("httpx", "httpcore", "websockets")
_KEPT = timedelta(days=14)
_OURS = ("crypto_lake", "collector_daemon")
_started: set[Purpose] = set()


def start(config: "Config", purpose: Purpose, *, console: bool = False) -> None:
    """Log to `logs/<purpose>.log`, and to standard error where `console` is asked for.

    Once a process: a run that is part of a command logs where the command does.
    """
    if _started:
        return
    _started.add(purpose)
    zone = ZoneInfo(config.general.timezone)

    def line(record: "Record") -> str:
        record["extra"]["when"] = record["time"].astimezone(zone).isoformat(sep=" ", timespec="milliseconds")
        record["extra"]["shown"] = _shown(record)
        return _FORMAT

    level = config.general.log_level
    logger.remove()
    for package in _OURS:
        logger.enable(package)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)
    # `pythonw.exe` has none. It comes first, so that a file on a disk that does not answer keeps nothing from it.
    if console and sys.stderr is not None:
        logger.add(sys.stderr, level=level, format=line, filter=_is_untold)
    layout = config.collector_layout
    path = layout.collector_log if purpose == "collector" else layout.logs / f"{purpose}.log"
    logger.add(_File(path), level=level, format=line)


class _File:
    """A log's file. Where it cannot be written, that is told once on standard error, until it can be again.

    loguru would tell each time, with the message as it came: that may quote an address with its password.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fails = False
        # Opened with the first message: a second collector, refused by the lock, must not touch the first one's file.
        # loguru takes what stands in braces for the time's place.
        place = str(path).replace("{", "{{").replace("}", "}}")
        self._sink: Any = FileSink(  # type: ignore[no-untyped-call,unused-ignore]
            place, rotation="00:00", retention=_KEPT, encoding="utf-8", delay=True
        )

    def write(self, message: "Message") -> None:
        """Append a message, or say why not."""
        try:
            self._sink.write(message)
        except OSError as error:
            self._tell(error)
        else:
            self._fails = False

    def stop(self) -> None:
        """Close it, or say why not."""
        try:
            self._sink.stop()
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._fails and sys.stderr is not None:
            sys.stderr.write(f"{self._path}: cannot be written: {error.strerror}\n")
        self._fails = True


def told(line: str) -> None:
    """An error that a command ends with and tells on its terminal: for the file, since a service has no terminal."""
    if _started:
        logger.bind(told=True).error("{}", line)


def stop() -> None:
    """Close what `start` opened."""
    logger.remove()
    _started.clear()


def _shown(record: "Record") -> str:
    """Return a record's message, and the traceback below it where there is one, made fit to be shown.

    The traceback is made here, since loguru's own shows the values of variables: configurations with passwords in them.
    """
    told = printable(record["message"], _LONGEST, lines=True)
    if error := record["exception"]:
        trace = "".join(traceback.format_exception(error.type, error.value, error.traceback))
        told += "\n" + printable(trace, _LONGEST_TRACEBACK, lines=True)
    return told


def _is_untold(record: "Record") -> bool:
    """Return whether a record is not on its way to the terminal already, as a command's one line of error."""
    return "told" not in record["extra"]
