"""The page of a day as a browser shows it: it runs without a complaint, and says what DuckDB says of the bars."""

import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from crypto_lake.ask import views
from crypto_lake.pages import day
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, land, quote, trade

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
_OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"]


def shown(path: Path, profile: Path) -> tuple[str, str]:
    """The document after its scripts have run, and what the console was told."""
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *_OFFLINE,
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_it_draws_charts_without_a_complaint_and_with_the_numbers_of_the_bars(
    series: Series, duck: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    lines = [trade(n, START + n * HOUR, price=f"{100 + n}.5") for n in (1, 2, 3)]
    land(series.config, [quote(1, START + HOUR), *lines])
    bars.build_day(duck, series, DAY, LATER)
    document, console = shown(day.write(series.config, Series.recorded(series.config)), tmp_path / "profile")
    assert console == ""
    assert document.count("<canvas") > 1
    said = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", document))
    views.create(duck, series.config)
    opened, closed, trades, observed = duck.execute(
        "SELECT first(open ORDER BY window_start) FILTER (open IS NOT NULL), last(close ORDER BY window_start),"
        " sum(trade_count), count(*) FILTER (observed) FROM bars_1s"
    ).fetchall()[0]
    assert (said["open"], said["close"], said["trades"], said["seconds listened to"]) == (
        f"{opened:.1f}",
        f"{closed:.1f}",
        f"{trades}",
        f"{observed:,}",
    )
