"""Where the daemon's log goes: to the terminal, and to `logs/collector.log`, both in the configured timezone."""

import sys
from zoneinfo import ZoneInfo

import loguru
from loguru import logger

from crypto_lake.config import Config

_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS ZZ} {level:<7} {message}"


def begin(config: Config) -> None:
    """Replace all sinks. A new file begins at midnight, 14 days are kept; the first message creates it.

    What is logged with `told=True` is on its way to the terminal already, as the command's one line of error.
    """
    zone = ZoneInfo(config.general.timezone)

    def in_zone(record: "loguru.Record") -> None:
        record["time"] = record["time"].astimezone(zone)

    logger.remove()
    logger.configure(patcher=in_zone)
    level = config.general.log_level
    logger.add(sys.stderr, level=level, format=_FORMAT, filter=_is_untold, backtrace=False, diagnose=False)
    logger.add(
        config.layout.logs / "collector.log",
        level=level,
        format=_FORMAT,
        rotation="00:00",
        retention="14 days",
        encoding="utf-8",
        delay=True,
        backtrace=False,
        diagnose=False,
    )


def end() -> None:
    """Close the file."""
    logger.remove()


def _is_untold(record: "loguru.Record") -> bool:
    return "told" not in record["extra"]
