"""The report of a day: the latest verdict of each check, for programs and for people."""

from collections.abc import Callable
from html.parser import HTMLParser

import duckdb
import msgspec
import pytest

from crypto_lake import checks
from crypto_lake.checks import Check, Verdict
from crypto_lake.config import Config
from crypto_lake.pages import validation
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, trade

HOLE = {"first_id": 10003, "last_id": 10007, "trades_missing": 5}


class Page(HTMLParser):
    """A page's tables as lists of rows of texts, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        self.loads += [f"{name}={value}" for name, value in attrs if name in {"src", "href", "data"}]
        self.loads += [tag] if tag in {"script", "link", "iframe", "img"} else []

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def enter(duck: duckdb.DuckDBPyConnection, lake: Config) -> Callable[..., None]:
    """Enter a verdict with so many offending rows, the first of which are given."""

    def entering(
        check: Check, asset: str, count: int, *rows: dict[str, object], symbol: str = SYMBOL
    ) -> None:
        found = {symbol: list(rows)} if rows else {}
        verdict = Verdict(check, DAY, {symbol: count} if symbol else {}, found, check.severity)
        validation.enter(duck, lake, Series.recorded(lake), asset, [verdict], LATER)

    return entering


@pytest.fixture
def page(lake: Config) -> Callable[[], Page]:
    return lambda: Page(lake.layout.validation_page(DAY).read_text(encoding="utf-8"))


def outcomes(lake: Config) -> dict[str, str]:
    return {check["check"]: check["outcome"] for check in validation.read(lake, DAY)}


def test_a_report_has_the_verdicts_of_all_that_entered_one(enter: Callable[..., None], lake: Config) -> None:
    enter(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", 1, HOLE)
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    enter(checks.CHECKSUM_MATCHES, "daily_bars", 1, {"file": "x"})
    assert outcomes(lake) == {
        "checksum_matches": "failed",
        "trade_ids_contiguous": "warning",
        "no_missing_seconds": "passed",
    }
    whole = msgspec.json.decode(lake.layout.validation(DAY).read_bytes())
    assert (whole["day"], whole["outcome"]) == (str(DAY), "failed")


def test_a_later_verdict_takes_the_place_of_the_one_before(enter: Callable[..., None], lake: Config) -> None:
    enter(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", 1, HOLE)
    enter(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", 0)
    assert outcomes(lake) == {"trade_ids_contiguous": "passed"}


def test_a_verdict_on_nothing_is_no_verdict(enter: Callable[..., None], lake: Config) -> None:
    enter(checks.CHECKSUM_MATCHES, "daily_bars", 0, symbol="")
    assert not lake.layout.validation(DAY).exists()
    enter(checks.CHECKSUM_MATCHES, "daily_bars", 0)
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    enter(checks.CHECKSUM_MATCHES, "daily_bars", 0, symbol="")
    assert outcomes(lake) == {"no_missing_seconds": "passed"}


def test_the_page_says_each_verdict_with_its_severity_and_counts(
    enter: Callable[..., None], page: Callable[[], Page]
) -> None:
    enter(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", 1234, HOLE)
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    rows = page().rows
    assert ["warning", "raw_segments", "trade_ids_contiguous", "WARN", f"{SYMBOL} 1,234"] in [
        row[:5] for row in rows
    ]
    assert ["passed", "bars_1s", "no_missing_seconds", "ERROR", f"{SYMBOL} 0"] in [row[:5] for row in rows]
    assert [SYMBOL, "10003", "10007", "5"] in rows


def test_the_page_has_the_days_coverage(
    duck: duckdb.DuckDBPyConnection, series: Series, enter: Callable[..., None], page: Callable[[], Page]
) -> None:
    land(series.config, [trade(1, START + HOUR), trade(2, START + 2 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    head, row = next(
        (one, after) for one, after in zip(page().rows, page().rows[1:], strict=False) if "trades" in one
    )
    told = dict(zip(head, row, strict=True))
    assert (told["symbol"], told["rows"], told["trades"], told["unobserved"]) == (
        SYMBOL,
        "86,400",
        "2",
        "82,800",
    )


def test_the_page_needs_nothing_beside_itself(
    enter: Callable[..., None], page: Callable[[], Page], lake: Config
) -> None:
    enter(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", 1, HOLE)
    assert page().loads == []
    text = lake.layout.validation_page(DAY).read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text


def test_what_a_row_says_is_text_and_no_markup(enter: Callable[..., None], page: Callable[[], Page]) -> None:
    enter(checks.CHECKSUM_MATCHES, "daily_bars", 1, {"file": "<script>alert('x')</script>"})
    assert page().loads == []
    assert [SYMBOL, "<script>alert('x')</script>"] in page().rows


def test_a_report_that_cannot_be_understood_is_begun_anew(enter: Callable[..., None], lake: Config) -> None:
    path = lake.layout.validation(DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"day": 1')
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    assert outcomes(lake) == {"no_missing_seconds": "passed"}


def test_what_is_unverifiable_says_so_with_its_reason_and_is_worse_than_passed(
    duck: duckdb.DuckDBPyConnection, lake: Config, enter: Callable[..., None], page: Callable[[], Page]
) -> None:
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    reason = "its ids skip <b>"
    unproved = Verdict(checks.TRADE_IDS_CONTIGUOUS, DAY, {"A": 0, "B": 0}, {}, "WARN", {"A": reason})
    validation.enter(duck, lake, Series.recorded(lake), "raw_segments", [unproved], LATER)
    report = msgspec.json.decode(lake.layout.validation(DAY).read_bytes())
    assert (report["outcome"], report["checks"][0]["unverifiable"]) == ("unverifiable", {"A": reason})
    assert ["unverifiable", "raw_segments", "trade_ids_contiguous", "WARN", "A unverifiable · B 0"] in [
        row[:5] for row in page().rows
    ]
    assert "A is unverifiable: its ids skip &lt;b&gt;." in lake.layout.validation_page(DAY).read_text("utf-8")


def test_a_report_from_before_there_was_unverifiable_is_read(
    enter: Callable[..., None], lake: Config
) -> None:
    enter(checks.NO_MISSING_SECONDS, "bars_1s", 0)
    path = lake.layout.validation(DAY)
    report = msgspec.json.decode(path.read_bytes())
    del report["checks"][0]["unverifiable"]
    path.write_bytes(msgspec.json.encode(report))
    assert outcomes(lake) == {"no_missing_seconds": "passed"}


def test_of_two_thousand_symbols_the_worst_are_on_the_page_and_all_counts_in_the_file(
    duck: duckdb.DuckDBPyConnection, lake: Config
) -> None:
    counts = {f"S{n:04d}": n % 7 for n in range(2000)} | {"WORST": 1234}
    rows = {symbol: [HOLE] * 5 for symbol, count in counts.items() if count}
    verdict = Verdict(checks.TRADE_IDS_CONTIGUOUS, DAY, counts, rows, "WARN")
    coverage = [{"symbol": symbol, "rows": 86_400, "unobserved": n} for n, symbol in enumerate(counts)]
    validation.enter(duck, lake, [], "raw_segments", [verdict], LATER)
    (check,) = validation.read(lake, DAY)
    assert check["counts"] == counts
    assert (len(check["rows"]), len(check["rows"]["WORST"])) == (200, 5)
    text = validation.page({"day": DAY, "outcome": "warning", "coverage": coverage, "checks": [check]})
    rows_of_page = Page(text).rows
    assert len(text) < 100_000
    assert rows_of_page[1:3] == [["all 2,001", "172,886,400", "2,001,000"], ["WORST", "86,400", "2,000"]]
    (told,) = (row[4] for row in rows_of_page if row[:1] == ["warning"])
    assert told.startswith("WORST 1,234 · S0006 6 · ")
    assert told.endswith(" and 1,951 more")
