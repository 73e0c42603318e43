"""The lake at a glance, of three symbols and of hundreds."""

import re

import msgspec
import pytest

from crypto_lake.config import Config
from crypto_lake.layout import SECOND_US
from crypto_lake.operate import status
from crypto_lake.raw.collector_status import ExchangeStatus, Status, StatusFile, SymbolStatus

NOW = 1_760_961_600_000_000


def one(symbol: str, silent_sec: int = 1, missing: int = 0) -> SymbolStatus:
    return SymbolStatus(
        symbol=symbol,
        trades=1000,
        quotes=2000,
        last_trade_event=None,
        last_frame=NOW - silent_sec * SECOND_US,
        latency_p50_us=None,
        latency_p99_us=None,
        latency_max_us=missing * 1000 or None,
        offset_us=None,
        gaps=1 if missing else 0,
        missing=missing,
        duplicates=0,
        pending_bytes=0,
        segments_sealed=0,
        current_segment=None,
    )


def test_events_and_breaks_of_the_order_book_are_shown_where_there_are_any(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    told(lake, [one("SOLUSDT"), one("ADAUSDT")])
    status.show(lake, NOW)
    assert "Order books" not in capsys.readouterr().out
    with_book = msgspec.structs.replace(
        one("SOLUSDT"), depth=7654, book_breaks=3, last_anchor=NOW - 9 * SECOND_US
    )
    told(lake, [with_book, one("ADAUSDT")])
    status.show(lake, NOW)
    shown = capsys.readouterr().out
    assert re.search(r"SOLUSDT +│ 7,654 +│ 3 +│ 9 s ", shown.split("Order books")[1])
    assert rows(shown, "Order books") == ["SOLUSDT"]


def told(lake: Config, symbols: list[SymbolStatus], recorder: str = "") -> None:
    exchange = ExchangeStatus(
        name="binance",
        url="ws://h/ws",
        state="listening",
        connection=1,
        connected_since=NOW,
        live=1,
        last_frame=NOW,
        last_end=None,
        rejected=0,
        held_bytes=0,
        trouble=None,
        symbols=symbols,
    )
    StatusFile(lake.layout.of(recorder).collector_status).write(
        Status(
            pid=1,
            version="",
            state="listening",
            reason=None,
            started=NOW,
            updated=NOW,
            updated_iso="",
            exchanges=[exchange],
        )
    )


@pytest.fixture
def many(lake: Config) -> Config:
    symbols = [one(f"S{n:03}USDT") for n in range(500)] + [
        one("LATEUSDT", silent_sec=99),
        one("HOLEEUR", missing=7),
    ]
    told(lake, symbols)
    return lake


def rows(text: str, title: str) -> list[str]:
    """Return the first cells of the rows of a table."""
    table = text.split(title)[1].split("└", maxsplit=1)[0]
    found = re.findall(r"^│ (\S[^│]*?) +│", table, re.MULTILINE)
    # An old console of Windows has no heavy lines, which part the heading from the rows elsewhere.
    return found[1:] if found[:1] == ["symbol"] else found


def test_of_many_symbols_the_worst_are_shown_first_and_a_total_of_all(
    many: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # An old console of Windows has a column less than others, in which the total would be cut.
    monkeypatch.setenv("COLUMNS", "90")
    status.show(many, NOW)
    text = capsys.readouterr().out
    shown = rows(text, "Live")
    assert (shown[:3], shown[-1], len(shown)) == (["HOLEEUR", "LATEUSDT", "S000USDT"], "502 symbols", 21)
    total = text[text.index("502 symbols") :].splitlines()[0]
    assert "502,000" in total
    assert "… and 482 more: --all shows them, --symbol PATTERN some" in text
    assert len(text.splitlines()) < 60


def test_all_shows_all(many: Config, capsys: pytest.CaptureFixture[str]) -> None:
    status.show(many, NOW, everything=True)
    assert len(rows(capsys.readouterr().out, "Live")) == 503


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("*EUR", ["HOLEEUR"]),
        ("LATEUSDT", ["LATEUSDT"]),
        ("S49*", [*(f"S49{n}USDT" for n in range(10)), "10 symbols"]),
    ],
)
def test_a_pattern_shows_those_that_it_means_alone(
    many: Config, capsys: pytest.CaptureFixture[str], word: str, shown: list[str]
) -> None:
    status.show(many, NOW, symbol=word)
    assert rows(capsys.readouterr().out, "Live") == shown


def test_what_the_lake_holds_is_told_of_some_and_counted_of_all(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(30):
        lake.layout.raw_symbol("binance", f"S{n:03}USDT").mkdir(parents=True)
    status.show(lake, NOW)
    text = capsys.readouterr().out
    assert len(rows(text, "Lake; in days")) == 20
    assert "31 symbols of binance: 30 have raw files, 0 bars, 0 candles" in text


def test_a_lake_of_a_pattern_is_told_before_anything_is_known_of_it(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    section = msgspec.structs.replace(lake.exchanges[0], symbols=["*USDT"])
    status.show(msgspec.structs.replace(lake, exchanges=[section]), NOW)
    assert "has never run" in capsys.readouterr().out


def test_each_collector_of_a_lake_is_shown_by_its_name(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    told(lake, [one("SOLUSDT")], "a")
    told(lake, [one("SOLUSDT"), one("ADAUSDT", missing=3)], "b")
    status.show(lake, NOW + SECOND_US)
    text = capsys.readouterr().out
    assert re.findall("^(Collector.*?): listening", text, re.MULTILINE) == ["Collector a", "Collector b"]
    assert rows(text.split("Collector b")[1], "Live") == ["ADAUSDT", "SOLUSDT", "2 symbols"]
