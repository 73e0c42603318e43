"""What becomes of a symbol does not depend on the symbols that are made together with it."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import sql
from crypto_lake.config import Config, General
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, batch
from crypto_lake.transform.bars import PartlyBuiltError
from crypto_lake.transform.workspace import locked
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
NOW = START + 4 * HOUR
# In seconds, far after any test.
_FAR = 4_000_000_000
EIGHT = st.integers(1, 10**12).map(lambda n: f"{n / 10**8:.8f}")


class Event(NamedTuple):
    """A trade, or a quote, some seconds into the day; prices and quantities are text."""

    second: int
    is_quote: bool
    price: str
    qty: str


class Recorded(NamedTuple):
    """What was recorded of a symbol: twice, with a journal, with a line that is none; and how far the clock was off."""

    events: list[Event]
    twice: bool
    journaled: bool
    damaged: bool
    offset_us: int


EVENTS = st.builds(Event, st.integers(0, 3 * 3600 - 1), st.booleans(), EIGHT, EIGHT)
RECORDED = st.builds(
    Recorded,
    st.lists(EVENTS, max_size=12),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 80_000, -1_300_000]),
)


def lines_of(symbol: str, recorded: Recorded) -> list[RawLine]:
    lines = []
    for number, (second, is_quote, price, qty) in enumerate(sorted(recorded.events), 1):
        at = START + second * SECOND
        line = (
            quote(number, at + recorded.offset_us, price, price)
            if is_quote
            else trade(number, at, price, qty)
        )
        lines.append(msgspec.structs.replace(line, symbol=symbol, ts_recv=at + recorded.offset_us))
    return lines


def land(config: Config, symbol: str, recorded: Recorded) -> None:
    """Write it as one segment, or as two that say the same."""
    lines = lines_of(symbol, recorded)
    if not lines:
        return
    for number in range(1, 2 + recorded.twice):
        path = config.layout.segment("binance", symbol, DAY, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        if recorded.journaled:
            note = sealed(path, lines, [(lines[0].ts_recv, lines[-1].ts_recv + 1)])
            ids = [line.id for line in lines if line.ts_event is not None]
            first, last = min(ids, default=None), max(ids, default=None)
            told = msgspec.structs.replace(note, symbol=symbol, first_trade_id=first, last_trade_id=last)
            JournalWriter(config.layout, "binance").write(told, DAY)
        if recorded.damaged and number == 1:
            path.write_bytes(path.read_bytes() + b'{"stream": "trade", "price": [}\n')
            if not recorded.journaled:
                # Still being written, for as long as the test may take: what nobody touches for seconds is mended.
                os.utime(path, (_FAR, _FAR))


def parts(series: Series) -> dict[str, bytes]:
    found = series.layout.parts(series.exchange, series.symbol, DAY)
    return {path.name: path.read_bytes() for path in found}


def made(duck: Duck, series: Sequence[Series]) -> list[dict[str, bytes]]:
    with contextlib.suppress(PartlyBuiltError):
        bars.build_all(duck, series, DAY, NOW, with_fit=True)
    return [parts(one) for one in series]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDED, min_size=2, max_size=4), st.integers(1, 5))
def test_a_symbol_has_the_same_bytes_made_alone_and_with_others(
    duck: Duck, lake: Config, recorded: list[Recorded], most: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        config = msgspec.structs.replace(lake, general=General(base_path=folder))
        series = [Series(config, "binance", f"S{number}USDT") for number, _ in enumerate(recorded)]
        for one, told in zip(series, recorded, strict=True):
            land(config, one.symbol, told)
        raw, copy = Path(folder) / "raw", Path(folder) / "copy"
        raw.mkdir(exist_ok=True)
        shutil.copytree(raw, copy)
        alone = [made(duck, [one])[0] for one in series]
        # Damaged files were mended in place.
        shutil.rmtree(raw)
        shutil.rmtree(Path(folder) / "parquet", ignore_errors=True)
        copy.rename(raw)
        patch.setattr(batch, "_MOST_BARS", most * 3600)
        assert made(duck, series) == alone


def test_a_symbol_that_cannot_be_read_keeps_none_of_the_others_from_it(duck: Duck, lake: Config) -> None:
    event = Event(5, is_quote=False, price="1.00000000", qty="1.00000000")
    series = [Series(lake, "binance", f"S{number}USDT") for number in range(3)]
    for number, one in enumerate(series):
        land(lake, one.symbol, Recorded([event], twice=False, journaled=True, damaged=False, offset_us=0))
        if number == 1:
            # As long as the journal says, and no line.
            path = lake.layout.segment("binance", one.symbol, DAY, 1)
            path.write_bytes(b"x" * (path.stat().st_size - 1) + b"\n")
    with pytest.raises(PartlyBuiltError, match="part_0001") as said:
        bars.build_all(duck, series, DAY, NOW)
    assert [(one.symbol, one.rebuilt) for one in said.value.built if one.rebuilt] == [
        ("S0USDT", [0]),
        ("S2USDT", [0]),
    ]


def test_hours_without_lines_are_made_by_the_statement_of_those_that_have_some(
    duck: Duck, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked = sql.ask, []

    def noted(connection: Duck, name: str, *rest: Any, **given: Any) -> Any:  # noqa: ANN401
        asked.append(name)
        return ask(connection, name, *rest, **given)

    monkeypatch.setattr(sql, "ask", noted)
    event = Event(5, is_quote=False, price="1.00000000", qty="1.00000000")
    land(lake, "S0USDT", Recorded([event], twice=True, journaled=False, damaged=False, offset_us=0))
    built = bars.build_day(duck, Series(lake, "binance", "S0USDT"), DAY, LATER)
    assert len(built.rebuilt) == 24
    assert asked == ["transform/bars"]


def test_symbols_are_locked_in_one_order_whatever_the_order_they_come_in(lake: Config) -> None:
    series = [Series(lake, "binance", f"S{number}USDT") for number in (2, 0, 1)]
    with locked(*series):
        folder = lake.layout.bars_lock("binance", "S0USDT").parent
        held = [entry.name for entry in sorted(folder.iterdir())]
    assert held == [f"binance-S{number}USDT.lock" for number in range(3)]


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "lz4", "uncompressed"])
def test_parts_are_written_in_every_compression_that_the_settings_know(
    duck: Duck, lake: Config, compression: str
) -> None:
    transformer = msgspec.structs.replace(lake.transformer, parquet_compression=compression)
    one = Series(msgspec.structs.replace(lake, transformer=transformer), "binance", "S0USDT")
    event = Event(5, is_quote=False, price="1.00000000", qty="1.00000000")
    land(lake, one.symbol, Recorded([event], twice=False, journaled=True, damaged=False, offset_us=0))
    assert bars.build_day(duck, one, DAY, NOW).rebuilt == [0]
    (part,) = parts(one).values()
    assert part.startswith(b"PAR1")


def test_making_bars_and_ticks_does_without_pandas(lake: Config) -> None:
    """It takes longer to load than a quiet day to make."""
    event = Event(5, is_quote=False, price="1.00000000", qty="1.00000000")
    land(lake, "S0USDT", Recorded([event], twice=False, journaled=True, damaged=False, offset_us=0))
    program = f"""
import sys
from datetime import date
from pathlib import Path
from crypto_lake import config
from crypto_lake.disk import parquet
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
series = Series.recorded(config.load(Path({str(Path(lake.general.base_path).parent / "config.yml")!r})))
day = date.fromisoformat({DAY.isoformat()!r})
with parquet.connect() as connection:
    for make in (bars.build_all, daily.compact_all, ticks.make_all):
        assert make(connection, series, day, {NOW} * 2)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr
