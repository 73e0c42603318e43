"""Checks of days that several recorders heard."""

from pathlib import Path

import duckdb

from crypto_lake import checks
from crypto_lake.config import Config
from crypto_lake.defs import landings
from crypto_lake.defs.partitions import Share
from crypto_lake.layout import HOUR_US
from crypto_lake_tests.checks.days import run
from crypto_lake_tests.raw_lines import DAY, SECOND, START, SYMBOL
from crypto_lake_tests.two_recorders import Heard, finish, lake_of, market

Duck = duckdb.DuckDBPyConnection
FROM, TO = START + HOUR_US * 3 // 4, START + HOUR_US * 4 // 3
EVENTS = market(FROM, TO, 10 * SECOND)


def test_each_clock_is_held_against_itself(duck: Duck, lake: Config, tmp_path: Path) -> None:
    """Two that are 1.5 s apart, each of them steady, are both right enough; one that is set is told by its name."""
    ahead = [Heard("a", [(FROM, TO)]), Heard("b", [(FROM, TO)], lambda _: 1_500_000)]
    series = lake_of(lake, tmp_path / "steady", ahead, EVENTS)
    finish(duck, series)
    assert run(checks.CLOCK_OFFSET, duck, series, asset="raw_segments").passed
    ahead[1].clock = lambda true: 1_500_000 if true > START + HOUR_US else 0
    series = lake_of(lake, tmp_path / "set", ahead, EVENTS)
    finish(duck, series)
    verdict = run(checks.CLOCK_OFFSET, duck, series, asset="raw_segments")
    assert {row["collector"] for row in verdict.rows[SYMBOL]} == {"b"}


def test_what_one_lost_and_another_heard_is_no_hole_and_no_downtime(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    lost = frozenset({100, 101, 200})
    pause = START + HOUR_US
    broken = Heard("a", [(FROM, pause), (pause + HOUR_US // 4, TO)], misses=lost)
    series = lake_of(lake, tmp_path / "lake", [broken, Heard("b", [(FROM, TO)])], EVENTS)
    finish(duck, series)
    for check in (checks.TRADE_IDS_CONTIGUOUS, checks.TRADE_IDS_UNAMBIGUOUS):
        assert run(check, duck, series, asset="raw_segments").passed
    alone = lake_of(lake, tmp_path / "alone", [Heard("b", [(FROM, TO)])], EVENTS)
    finish(duck, alone)
    downtime = [run(checks.STREAM_DOWNTIME, duck, one, asset="raw_segments") for one in (series, alone)]
    assert downtime[0].rows == downtime[1].rows
    told = landings.landing(duck, Share(None, [series]), DAY).metadata
    assert told["holes_at_first"].value == 0


def test_what_both_lost_is_a_hole(duck: Duck, lake: Config, tmp_path: Path) -> None:
    both = [
        Heard("a", [(FROM, TO)], misses=frozenset({100})),
        Heard("b", [(FROM, TO)], misses=frozenset({100, 150})),
    ]
    series = lake_of(lake, tmp_path / "lake", both, EVENTS)
    finish(duck, series)
    verdict = run(checks.TRADE_IDS_CONTIGUOUS, duck, series, asset="raw_segments")
    assert [(row["first_id"], row["last_id"]) for row in verdict.rows[SYMBOL]] == [(100, 100)]
    told = landings.landing(duck, Share(None, [series]), DAY).metadata
    assert told["holes_at_first"].value == 2
