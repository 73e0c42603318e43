"""Errors, each of which is one clear line.

Every error that a person may meet derives from `LakeError`; its text is that line. The commands print it without
a traceback and leave with its `exit_code`: 1 for work that failed, 2 for wrong usage or configuration.
"""

import math
from collections.abc import Sequence

import msgspec

from crypto_lake.showing import printable

# What `msgspec` raises over bytes that are no JSON, or JSON of another shape; also where a text in it is no UTF-8, or
# where it is nested for ever.
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Long enough for the names of a few thousand symbols.
_LONGEST = 20_000


class LakeError(Exception):
    """The work could not be done; the text says what, where, and what was expected.

    It often quotes what came from outside, and goes to terminals, logs, the journal and pages: so it is made printable.
    """

    exit_code = 1

    def __init__(self, text: str) -> None:
        super().__init__(printable(text, _LONGEST, lines=True))


class ConfigError(LakeError):
    """The configuration, or what was typed, is wrong; nothing has been touched."""

    exit_code = 2


class LakeBusyError(LakeError):
    """Another process holds this lake (or this part of it)."""


class RawDataError(LakeError):
    """A sealed raw file holds something that is not a raw line."""


class NoFileError(LakeError):
    """A folder stands where a file belongs; that does not pass by itself."""


class ExchangeError(LakeError):
    """The exchange could not be reached, or answered with something that cannot be used. One line, whatever it said."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


# Who does not say for how long means hours. Binance bans for two minutes to three days: what says more is a mistake.
_UNSAID_BAN_SEC, _LONGEST_BAN_SEC = 6 * 3_600.0, 3 * 86_400.0


class LeftAloneError(ExchangeError):
    """The exchange wants to hear nothing for longer than is waited for; `seconds` are infinite where it says no end."""

    def __init__(self, where: str, seconds: float) -> None:
        self.seconds = seconds
        told = f"for {seconds:.0f} s; try again then"
        if math.isinf(seconds):
            told = "and does not say for how long; try again in some hours"
        super().__init__(f"{where}: asks to be left alone {told}")

    @property
    def quiet_sec(self) -> float:
        """For how long nothing is to be asked: who asks on during a ban is banned for longer."""
        return _UNSAID_BAN_SEC if math.isinf(self.seconds) else min(self.seconds, _LONGEST_BAN_SEC)


class UnansweredError(ExchangeError):
    """No attempt at one question brought a whole answer, or the exchange had trouble of its own each time."""


class UnreachableError(UnansweredError):
    """The exchange answers nothing at all: whatever else it would be asked can wait."""


class UnknownSymbolError(ConfigError):
    """The exchange does not list (or does not trade) a configured symbol."""


class NoListError(ConfigError):
    """The exchange cannot be asked for all that it lists, and symbols of it can only be named."""


class DiskFullError(LakeError):
    """Less free disk is left than `collector.min_free_disk_gb` asks for."""


class StoreError(LakeError):
    """The object store refuses what is asked of it: credentials, a bucket, a lake that is another one."""


class StoreAwayError(StoreError):
    """The object store does not answer, or has trouble of its own: what is asked may be asked again."""


def together(errors: Sequence[LakeError]) -> LakeError:
    """Return one error that says what some say, each once: of raw files if the first is, from which others follow."""
    if len(errors) == 1:
        return errors[0]
    kind = RawDataError if isinstance(errors[0], RawDataError) else LakeError
    return kind("; ".join(dict.fromkeys(map(str, errors))))
