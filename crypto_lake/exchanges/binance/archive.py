"""Binance's public archive: a zip of candles a symbol and day, and the REST interface for what it has not got.

Layout and fields are those of binance-public-data's README (2025-01-09). A file counts only if its checksum fits and
its rows stand up to the same look as those of REST; what it lacks, REST is asked for: files were replaced after days.
So is it for all the rest, once the archive wants to be left alone or has not answered twice in a row.
"""

import csv
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from loguru import logger

from crypto_lake.errors import ExchangeError, LeftAloneError, UnansweredError, UnreachableError
from crypto_lake.exchanges.base import Candle, Usage, contradiction, holes
from crypto_lake.exchanges.binance import klines
from crypto_lake.exchanges.binance.http import BinanceHttp, NotThereError
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import DAY_US, MINUTE_US, day_of

_MILLISECOND_DIGITS, _MICROSECOND_DIGITS = 13, 16
_OPEN, _CLOSE, _COUNT = 0, 6, 8
# Halts leave a few holes; a file with more than these is taken for none.
_MOST_HOLES = 50
# A day of klines has 200 kB; a zip that promises as much may unpack to terabytes.
_MOST_BYTES = 4 << 20
# Files one after the other that did not come.
_UNANSWERED = 2
# So much of a field that is no number is told.
_SHOWN = 40
# What `zipfile` and `csv` raise for bytes that are not theirs. RuntimeError: encrypted, or made for a newer unzip.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    csv.Error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    RuntimeError,
)


class BinanceArchive:
    """See `base.BulkClient`: candles of whole days come from the archive where it has them, all else from `rest`."""

    candles_at_once = DAY_US // MINUTE_US

    def __init__(self, http: BinanceHttp, rest: BinanceRest) -> None:
        self._http, self._rest = http, rest
        self._unanswered, self._given_up = 0, False

    @property
    def usage(self) -> Usage:
        """Return what was asked so far, the archive's files included; they weigh nothing."""
        files, asked = self._http.usage, self._rest.usage
        return Usage(files.requests + asked.requests, files.weight + asked.weight)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._rest.aclose()

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        """By REST."""
        return await self._rest.listed(symbols)

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """The 1-minute candles of [start, end)."""
        if self._given_up or start_us % DAY_US or end_us - start_us != DAY_US:
            return await self._rest.candles_1m(symbol, start_us, end_us)
        found = await self._file(symbol, start_us)
        lacking = holes(found, start_us, end_us)
        if len(lacking) > _MOST_HOLES:
            return await self._rest.candles_1m(symbol, start_us, end_us)
        for first, last in lacking:
            found += await self._rest.candles_1m(symbol, first, last)
        return sorted(found)

    async def _file(self, symbol: str, start_us: int) -> list[Candle]:
        """The candles of the archive's file of a day; none, and a line in the log, where there is no good one."""
        path = f"data/spot/daily/klines/{symbol}/1m/{symbol}-1m-{day_of(start_us)}.zip"
        try:
            checksum = await self._http.get(f"{path}.CHECKSUM", {}, 0, lambda answer: answer.text)
            content = await self._http.get(path, {}, 0, lambda answer: answer.body, rows=self.candles_at_once)
            self._unanswered = 0
            rows = _rows(_proved(content, checksum))
            return _possible(klines.candles(rows, symbol, start_us, start_us + DAY_US, self._http.quoted))
        except (LeftAloneError, UnansweredError) as error:
            self._unanswered += 1
            gone = isinstance(error, LeftAloneError | UnreachableError) or self._unanswered >= _UNANSWERED
            self._given_up = self._given_up or gone
            more = ", and for what is left" if gone else ""
            logger.warning("{}; REST is asked instead{}", error, more)
        except NotThereError:
            self._unanswered = 0
            logger.info("{}/{}: not in the archive; REST is asked instead", self._http.url, path)
        except ExchangeError as error:
            told = self._http.quoted(str(error))
            logger.warning("{}/{}: not used: {}; REST is asked instead", self._http.url, path, told)
        return []


def _proved(content: bytes, checksum: str) -> bytes:
    if checksum.split()[:1] != [hashlib.sha256(content).hexdigest()]:
        raise ExchangeError("its checksum does not fit")
    return content


def _possible(candles: list[Candle]) -> list[Candle]:
    """The same candles.

    Raises:
        ExchangeError: no trades can have made one of them.
    """
    for candle in candles:
        if expected := contradiction(candle):
            raise ExchangeError(f"its candle at {candle.open_time}: expected {expected}")
    return candles


def _rows(content: bytes) -> list[list[Any]]:
    """The rows of the one CSV file in a zip, as REST would have sent them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (entry,) = archive.infolist()
            # The others may ask for gigabytes of memory before the first byte is there.
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError(f"compressed by method {entry.compress_type}")
            with archive.open(entry) as file:
                unpacked = file.read(_MOST_BYTES + 1)
        if len(unpacked) > _MOST_BYTES:
            raise ValueError(f"longer than {_MOST_BYTES:,} bytes once unpacked")
        return [_row(row) for row in csv.reader(unpacked.decode("ascii").splitlines())]
    except _DAMAGES as error:
        raise ExchangeError(f"not a zip of one file of klines: {error}") from None


def _row(texts: list[str]) -> list[Any]:
    row: list[Any] = list(texts)
    row[_OPEN], row[_CLOSE] = _us(texts[_OPEN], 0), _us(texts[_CLOSE], 999)
    row[_COUNT] = _whole(texts[_COUNT])
    return row


def _whole(text: str) -> int:
    """A number as the exchange writes it: digits, not all that Python takes for one."""
    if not text.isdigit():
        raise ValueError(f"{text[:_SHOWN]!r} is no number")
    return int(text)


def _us(text: str, rest_us: int) -> int:
    """A time as µs. Files of days from 2025 on are in µs, those before in ms, and some were mixed: digits tell.

    A close is the last ms of a candle, and thereby its last µs as well, which is `rest_us` later.
    """
    if len(text) == _MICROSECOND_DIGITS:
        return _whole(text)
    if len(text) == _MILLISECOND_DIGITS:
        return _whole(text) * 1000 + rest_us
    raise ValueError(f"{text[:_SHOWN]!r} is no time")
