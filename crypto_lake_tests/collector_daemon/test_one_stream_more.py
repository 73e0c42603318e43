"""A stream that is one row more in the table is recorded and missed as its row says."""

from collections.abc import Sequence
from typing import Any

import msgspec

from collector_daemon.decide.session import (
    SILENT_AFTER_SEC,
    Session,
)
from crypto_lake.exchanges.binance.wire import BinanceWire
from crypto_lake.raw import journal
from crypto_lake.raw.lines import QUOTE, STREAMS
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, quote, trade
from crypto_lake_tests.collector_daemon.test_session import kept, of


class Pulse(msgspec.Struct, tag_field="stream", tag="pulse"):
    """The line of a made-up stream: an index that the exchange counts upwards."""

    symbol: str
    id: int
    ts_event: int


class PulsingWire(BinanceWire):
    """The exchange, if it had a third stream."""

    def streams(self, symbol: str) -> dict[str, str]:
        return super().streams(symbol) | {f"{symbol.lower()}@pulse": PULSE.name}

    def decode_all(self, frames: Sequence[bytes], ts_recv: int) -> Sequence[Any]:
        return [
            Pulse(**msgspec.json.decode(frame)["pulse"]) if b"pulse" in frame else self.decode(frame, ts_recv)
            for frame in frames
        ]


PULSE = QUOTE._replace(name="pulse", word="pulse", line=Pulse, has_event_time=True, family="pulse")


def pulse(number: int, ts_event: int = T0) -> bytes:
    return msgspec.json.encode({"pulse": {"symbol": "SOLUSDT", "id": number, "ts_event": ts_event}})


def test_a_stream_that_is_one_row_more_in_the_table_is_recorded_as_its_row_says() -> None:
    made = Session(PulsingWire(), SYMBOLS, [*STREAMS, PULSE])
    assert kept(made, pulse(5), trade(1), pulse(4), pulse(7), trade(1), quote(4)) == [5, 1, 7, 4]
    solusdt = made.symbols["SOLUSDT"]
    assert [solusdt.of(stream).kept for stream in (*STREAMS, PULSE)] == [1, 1, 2]
    assert solusdt.duplicates == 2
    assert solusdt.of(PULSE).last_event == T0


def test_a_stream_that_is_one_row_more_in_the_table_is_missed_when_it_is_silent() -> None:
    made = Session(PulsingWire(), ["SOLUSDT"], [*STREAMS, PULSE])
    made.subscribed(["SOLUSDT"], 0.0)
    kept(made, trade(1), quote(1))
    made.tick(T0, SILENT_AFTER_SEC)
    assert [event.stream for event in of(journal.Silent, made)] == ["solusdt@pulse"]
