"""The way to disk where many segments are due at once: lines go first."""

import asyncio
import errno
import time
from pathlib import Path
from typing import ClassVar

import pytest

from collector_daemon.clock import SystemClock
from collector_daemon.decide.listening import Listening
from collector_daemon.land.disk import CreateSegment, Disk
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from collector_daemon.land.writer import _SILENT_SEC, DiskTroubleError, Writer
from crypto_lake.layout import HOUR_US, Layout, day_of
from crypto_lake.raw import segments
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock, until

MANY = [f"A{number}USDT" for number in range(60)]


class Slow(OpenSegment):
    """A segment whose disk takes its time to sync; `done` is what it did, in order."""

    done: ClassVar[list[str]] = []

    def append(self, lines: bytes) -> None:
        super().append(lines)
        self.done.append("append")

    def seal(self) -> Path:
        time.sleep(0.005)
        self.done.append("seal")
        return super().seal()


def trade(symbol: str, at: int) -> TradeLine:
    return TradeLine(symbol, at, at, at, "1", "1", "buy", None, None, None, None)


def test_lines_reach_their_files_while_a_thousand_segments_wait_to_be_sealed(tmp_path: Path) -> None:
    Slow.done.clear()
    layout, clock = Layout(tmp_path), FakeClock()
    landing = Landing(Rotation(HOUR_US), clock)
    landing.expect(MANY, Listening())

    async def story() -> None:
        writer = Writer(landing, Disk(layout, "binance", Slow.create), SystemClock(), flush_sec=0.02)
        landing.add([trade(symbol, T0) for symbol in MANY], T0)
        running = asyncio.create_task(writer.run())
        await until(lambda: Slow.done.count("append") == len(MANY), "the first lines")
        clock.pass_by(3600)
        # The hour ends all windows at once; the lines come when sealing has begun.
        landing.tick()
        await until(lambda: "seal" in Slow.done, "the first seal")
        landing.add([trade(symbol, clock.wall) for symbol in MANY], clock.wall)
        await until(lambda: landing.unsealed == 0, "the last seal")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        landing.close()
        await writer.flush()
        await writer.close()

    asyncio.run(story())
    last_append = len(Slow.done) - 1 - Slow.done[::-1].index("append")
    assert Slow.done[:last_append].count("seal") < len(MANY) / 2
    assert landing.held == landing.unsealed == 0
    for symbol in MANY:
        found = segments.sealed(layout.raw_day("binance", symbol, day_of(T0)))
        assert [path.name for path in found] == ["part_0001.jsonl", "part_0002.jsonl"]


class Counted(OpenSegment):
    """A segment of a process that may hold `limit` of them open; `most` is how many it held at a time."""

    limit: ClassVar[float] = 0
    opened: ClassVar[list[Path]] = []
    most: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if len(self.opened) >= self.limit:
            raise OSError(errno.EMFILE, "Too many open files")
        super().__post_init__()
        self.opened.append(self.path)
        Counted.most = max(self.most, len(self.opened))

    def seal(self) -> Path:
        final = super().seal()
        self.opened.remove(self.path)
        return final


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    for name, value in {"limit": float("inf"), "opened": [], "most": 0}.items():
        monkeypatch.setattr(Counted, name, value)
    return Counted


def cut_again_and_again(layout: Layout, times: int, create: CreateSegment) -> Landing:
    """Cut all of MANY so often before the writer gets to anything, as where the clock is set; then land it all."""
    clock = FakeClock()
    landing = Landing(Rotation(HOUR_US), clock)
    landing.expect(MANY, Listening())
    for _ in range(times):
        landing.add([trade(symbol, clock.wall) for symbol in MANY], clock.wall)
        clock.pass_by(3600)
        landing.tick()

    async def story() -> None:
        writer = Writer(landing, Disk(layout, "binance", create), clock, flush_sec=1.0)
        await writer.flush()
        await writer.close()

    asyncio.run(story())
    return landing


def all_sealed(layout: Layout) -> list[int]:
    """How many segments of each of MANY are sealed."""
    return [len(segments.sealed(layout.raw_day("binance", symbol, day_of(T0)))) for symbol in MANY]


def test_what_may_hold_no_more_files_open_seals_those_that_wait_and_goes_on(
    tmp_path: Path, counted: type[Counted]
) -> None:
    counted.limit = len(MANY) + 5
    landing = cut_again_and_again(Layout(tmp_path), 3, counted.create)
    assert all_sealed(Layout(tmp_path)) == [3] * len(MANY)
    assert landing.held == landing.unsealed == 0


def test_however_often_all_is_cut_two_rounds_of_files_at_most_wait_open_for_their_seals(
    tmp_path: Path, counted: type[Counted]
) -> None:
    cut_again_and_again(Layout(tmp_path), 8, counted.create)
    assert all_sealed(Layout(tmp_path)) == [8] * len(MANY)
    # One that takes lines, and two rounds, of 64 at least, that wait.
    assert counted.most <= len(MANY) + 2 * 64


class Held(OpenSegment):
    """A segment that a program holds, on Windows, if its symbol is among `symbols`."""

    symbols: ClassVar[set[str]] = set()

    def seal(self) -> Path:
        if self.path.parent.parent.name in self.symbols:
            raise PermissionError(errno.EACCES, "used by another process")
        return super().seal()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    monkeypatch.setattr(Held, "symbols", {"AUSDT"})
    return Held


class Calm(FakeClock):
    """Does not run on while the writer waits for its thread, which it watches every five seconds."""

    async def sleep(self, seconds: float) -> None:
        await (asyncio.sleep(60) if seconds == _SILENT_SEC else super().sleep(seconds))


PAIR = ["AUSDT", "BUSDT"]


def names(layout: Layout, symbol: str) -> list[str]:
    return [path.name for path in segments.sealed(layout.raw_day("binance", symbol, day_of(T0)))]


def test_a_segment_that_a_program_holds_for_long_keeps_no_other_from_being_sealed(
    tmp_path: Path, held: type[Held]
) -> None:
    layout, clock = Layout(tmp_path), Calm()
    landing = Landing(Rotation(60_000_000), clock)
    landing.expect(PAIR, Listening())

    async def story() -> None:
        writer = Writer(landing, Disk(layout, "binance", held.create), clock, flush_sec=1.0)
        running = asyncio.create_task(writer.run())
        while clock.mono < 300 and not running.done():
            now = landing.watch.look()
            landing.add([trade(symbol, now) for symbol in PAIR], now)
            # The writer's pauses move the clock.
            await asyncio.sleep(0.005)
        assert not running.done()
        assert (names(layout, "AUSDT"), names(layout, "BUSDT")[:1]) == ([], ["part_0001.jsonl"])
        assert "another process" in (writer.trouble or "")
        held.symbols.clear()
        await until(lambda: not landing.unsealed, "the seals")
        assert names(layout, "AUSDT") == names(layout, "BUSDT")
        await until(lambda: writer.trouble is None, "the disk to obey")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await writer.close()

    asyncio.run(story())


def test_at_the_end_who_holds_a_segment_has_a_minute_and_the_others_are_sealed(
    tmp_path: Path, held: type[Held]
) -> None:
    layout, clock = Layout(tmp_path), Calm()
    landing = Landing(Rotation(60_000_000), clock)
    landing.expect(PAIR, Listening())
    landing.add([trade(symbol, T0) for symbol in PAIR], T0)
    landing.close()

    async def story() -> None:
        writer = Writer(landing, Disk(layout, "binance", held.create), clock, flush_sec=1.0)
        with pytest.raises(DiskTroubleError, match="another process"):
            await writer.flush()
        await writer.close()

    asyncio.run(story())
    assert 60 < clock.mono < 70
    assert (names(layout, "AUSDT"), names(layout, "BUSDT")) == ([], ["part_0001.jsonl"])
