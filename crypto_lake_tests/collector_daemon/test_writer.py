"""The way to disk where many segments are due at once: lines go first."""

import asyncio
import time
from pathlib import Path
from typing import ClassVar

from collector_daemon.clock import SystemClock
from collector_daemon.decide.listening import Listening
from collector_daemon.land.disk import Disk
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from collector_daemon.land.writer import Writer
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
