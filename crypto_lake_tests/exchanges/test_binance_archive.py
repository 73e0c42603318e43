"""Daily files of the public archive: what is taken from them, and when REST is asked instead."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from crypto_lake.exchanges.base import Candle
from crypto_lake.exchanges.binance.archive import BinanceArchive
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import DAY_US, MINUTE_US, day_of
from crypto_lake_tests.exchanges.rest_script import START_US, URL, Paged, row

DAY = day_of(START_US)
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"


def zipped(text: str, *more: str, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in ("klines.csv", *more):
            archive.writestr(name, text)
    return buffer.getvalue()


def flipped(content: bytes) -> bytes:
    """With damage in the middle of what was compressed."""
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
        + content[middle + 64 :]
    )


def lines(*minutes: int, unit_us: int = 1) -> str:
    rows = [row(minute) for minute in minutes]
    times = [[r[0] // unit_us, *r[1:6], r[6] // unit_us, *r[7:]] for r in rows]
    return "".join(",".join(map(str, one)) + "\n" for one in times)


class Archive(Paged):
    """A REST interface that has every minute of the day, and an archive that has one file."""

    def __init__(self, content: bytes | None, checksum: str | None = None) -> None:
        super().__init__(range(1440))
        self._content = content
        self._checksum = checksum or hashlib.sha256(content or b"").hexdigest()
        self.rest_asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("klines"):
            self.rest_asked += 1
            return super().__call__(request)
        self.asked.append(request)
        if self._content is None:
            return httpx.Response(404)
        if request.url.path.endswith(".CHECKSUM"):
            return httpx.Response(200, text=f"{self._checksum}  some.zip\n")
        return httpx.Response(200, content=self._content)

    def day(self, start_us: int = START_US, end_us: int = START_US + DAY_US) -> list[Candle]:
        async def question(rest: BinanceRest) -> list[Candle]:
            transport = httpx.MockTransport(self)
            files = BinanceHttp("http://archive.test", sleep=self.sleep, transport=transport)
            client = BinanceArchive(files, rest)
            try:
                return await client.candles_1m("SOLUSDT", start_us, end_us)
            finally:
                await files.aclose()

        return self.ask(question, URL)


WHOLE = [tuple(row(minute)[:11]) for minute in range(1440)]


@pytest.mark.parametrize("unit_us", [1, 1000])
def test_a_day_is_taken_from_its_file_in_either_unit_of_time(unit_us: int) -> None:
    exchange = Archive(zipped(lines(*range(1440), unit_us=unit_us)))
    assert exchange.day() == WHOLE
    assert exchange.rest_asked == 0
    file = f"/data/spot/daily/klines/SOLUSDT/1m/SOLUSDT-1m-{DAY}.zip"
    assert [request.url.path for request in exchange.asked] == [f"{file}.CHECKSUM", file]


def test_units_may_change_within_a_file() -> None:
    mixed = lines(*range(700), unit_us=1000) + lines(*range(700, 1440))
    assert Archive(zipped(mixed)).day() == WHOLE


@pytest.mark.parametrize(
    "made",
    [
        lambda: None,
        lambda: b"no zip",
        lambda: zipped(lines(*range(1440)), "another.csv"),
        lambda: zipped("open_time,open\n1,2\n"),
        lambda: zipped(lines(*range(1440)).replace("1.0", "x")),
        lambda: zipped(lines(*range(1440)).replace("1.0", "1" * 400)),
        lambda: zipped(lines(*range(1440)).replace("1.0", "1" * 200_000, 100)),
        lambda: zipped(lines(*range(1440)).replace(",3,", f",{1 << 62},")),
        lambda: zipped(lines(*range(1440)).replace(",3,", ",1_0,")),
        lambda: zipped(lines(*range(1440)) + "\n" * (17 << 20)),
        lambda: zipped(lines(*range(1440)), method=zipfile.ZIP_LZMA)[:-400] + b"torn",
        lambda: flipped(zipped(lines(*range(1440)), method=zipfile.ZIP_DEFLATED)),
        lambda: zipped(lines(5, 4)),
        lambda: zipped(lines(-1, 0)),
        lambda: zipped(lines(*range(1440)).replace("1.0,2.0,0.5", "1.0,0.5,2.0")),
        lambda: zipped(lines(*range(1440)).replace("1.0,2.0,0.5,1.5,10.0", "0.0,0.0,0.0,0.0,0.0")),
        lambda: zipped(""),
    ],
)
def test_a_file_that_is_not_there_or_none_of_candles_is_replaced_by_rest(
    made: Callable[[], bytes | None],
) -> None:
    exchange = Archive(made())
    assert exchange.day() == WHOLE
    assert exchange.rest_asked == 2


def test_a_file_whose_checksum_does_not_fit_is_not_used() -> None:
    other = lines(*range(1440)).replace("1.5", "1.6")
    exchange = Archive(zipped(other), checksum=hashlib.sha256(b"other").hexdigest())
    assert exchange.day() == WHOLE


def test_what_a_file_lacks_rest_is_asked_for() -> None:
    exchange = Archive(zipped(lines(*range(420), *range(425, 1440))))
    assert exchange.day() == WHOLE
    assert exchange.rest_asked == 1


def test_a_part_of_a_day_comes_from_rest() -> None:
    exchange = Archive(zipped(lines(*range(1440))))
    assert len(exchange.day(end_us=START_US + 90 * MINUTE_US)) == 90
    assert [request.url.path for request in exchange.asked] == ["/api/v3/klines"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the exchange's own candle files are not on this machine")
@pytest.mark.parametrize("name", ["2023-03-24", "2024-12-31", "2025-01-01", "2021-08-13"])
def test_the_exchanges_own_files_are_read(name: str) -> None:
    """Milliseconds until 2024, microseconds from 2025 on, halts and a candle that one of them cut short."""
    from crypto_lake.exchanges.binance import archive, klines  # noqa: PLC0415
    from crypto_lake.layout import day_start_us  # noqa: PLC0415

    text = (REAL / f"BTCUSDT-1m-{name}.csv").read_text()
    start = day_start_us(DAY.fromisoformat(name))
    rows = archive._rows(zipped(text))
    found = klines.candles(rows, "BTCUSDT", start, start + DAY_US)
    assert len(found) == len(text.splitlines())
    whole = [c for c in found if c.close_time == c.open_time + MINUTE_US - 1]
    assert len(found) - len(whole) <= 1


def packed(text: str, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("klines.csv", text)
    return buffer.getvalue()


def changed(at: int, value: int) -> bytes:
    """A good zip with one byte of its first header another."""
    content = bytearray(packed(lines(*range(1440)), zipfile.ZIP_DEFLATED))
    content[at] = value
    return bytes(content)


def locked() -> bytes:
    content = bytearray(packed(lines(*range(1440)), zipfile.ZIP_DEFLATED))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    "made",
    [
        lambda: packed("0" * (64 << 20), zipfile.ZIP_DEFLATED),
        lambda: packed(lines(*range(1440)), zipfile.ZIP_LZMA),
        lambda: packed(lines(*range(1440)), zipfile.ZIP_BZIP2),
        lambda: packed('"' + "0" * 200_000, zipfile.ZIP_DEFLATED),
        lambda: changed(60, 0xFF),
        locked,
    ],
    ids=["a bomb", "lzma", "bzip2", "a field without end", "damaged", "encrypted"],
)
def test_a_zip_that_is_not_as_the_exchange_packs_it_is_replaced_by_rest(made: Callable[[], bytes]) -> None:
    exchange = Archive(made())
    assert exchange.day() == WHOLE
    assert exchange.rest_asked == 2


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (httpx.Response(429, headers={"Retry-After": "999999"}), 1),
        (httpx.Response(418), 1),
        (httpx.Response(403, text="<Error>AccessDenied"), 4),
        (httpx.Response(500), 10),
    ],
)
def test_an_archive_that_does_not_answer_is_given_up_and_rest_asked_for_all_days(
    answer: httpx.Response, asked: int
) -> None:
    exchange = Refusing(answer)
    assert len(exchange.days(6)) == 6 * 1440
    assert (exchange.rest_asked, exchange.archive_asked <= asked) == (6 * 2, True)


class Refusing(Paged):
    """Has REST's candles, and one answer for every file of the archive."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(range(6 * 1440))
        self._answer = answer
        self.rest_asked = self.archive_asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("klines"):
            self.rest_asked += 1
            return super().__call__(request)
        self.archive_asked += 1
        return httpx.Response(
            self._answer.status_code, headers=self._answer.headers, content=self._answer.content
        )

    def days(self, count: int) -> list[Candle]:
        async def question(rest: BinanceRest) -> list[Candle]:
            transport = httpx.MockTransport(self)
            files = BinanceHttp(
                "http://archive.test", sleep=self.sleep, clock=lambda: self.now, transport=transport
            )
            client = BinanceArchive(files, rest)
            starts = [START_US + n * DAY_US for n in range(count)]
            try:
                return [c for at in starts for c in await client.candles_1m("SOLUSDT", at, at + DAY_US)]
            finally:
                await files.aclose()

        return self.ask(question, URL)
