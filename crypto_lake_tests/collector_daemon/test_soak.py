"""The collector as a process against the exchange at its worst: short versions of `benchmarks/soak.py`."""

from pathlib import Path

import pytest

from benchmarks.soak import Accounts, audit, soak
from crypto_lake.layout import SECOND_US, Layout
from crypto_lake.raw import journal, segments
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake_tests.collector_daemon.fakes import T0
from crypto_lake_tests.collector_daemon.test_recovery import DAY, left_open, trades

pytestmark = pytest.mark.waits


def sealed(layout: Layout, *numbers: int) -> None:
    """A segment with these trades, each received as many µs after midnight as its number."""
    left_open(layout, trades(*numbers))
    segments.recover(layout, "binance")


def listened(layout: Layout, *stretches: tuple[int, int]) -> None:
    JournalWriter(layout, "binance").write(
        journal.Sealed(
            at=T0,
            symbol="SOLUSDT",
            segment=None,
            lines=0,
            size=0,
            recv_from=None,
            recv_to=None,
            event_from=None,
            event_to=None,
            offset_us=None,
            listened=[(T0 + start, T0 + end) for start, end in stretches],
        ),
        DAY,
    )


def test_every_trade_that_is_missing_after_all_faults_and_kills_is_accounted_for(tmp_path: Path) -> None:
    outcome = soak(tmp_path, seconds=60, kill_every=13)
    assert outcome.accounts.in_order, outcome
    assert (outcome.exit_code, outcome.kills) == (0, 4)
    assert outcome.trouble


def test_with_faults_on_one_of_two_connections_at_a_time_no_trade_is_missing(tmp_path: Path) -> None:
    outcome = soak(tmp_path, seconds=25, calm=True)
    assert outcome.accounts.in_order, outcome
    assert outcome.accounts.missing == 0
    assert (outcome.exit_code, len(outcome.trouble) > 0) == (0, True)


def test_with_each_connection_aborted_every_few_seconds_no_trade_is_missing_and_hardly_a_quote(
    tmp_path: Path,
) -> None:
    outcome = soak(tmp_path, seconds=20, abort_every=2.5, lag=0.2)
    assert outcome.passed, outcome
    assert outcome.accounts.ends > 10


def test_the_audit_misses_no_trade_that_was_lost_while_somebody_listened(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    sealed(layout, 1, 2, 5)
    listened(layout, (0, SECOND_US))
    accounts = audit(layout)
    assert [(one.first_id, one.last_id) for one in accounts.unexplained] == [(3, 4)]
    assert not accounts.in_order


def test_the_audit_takes_a_downtime_for_a_reason(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    sealed(layout, 1, 2, 5)
    listened(layout, (0, 3), (4, SECOND_US))
    accounts = audit(layout)
    assert (accounts.in_order, dict(accounts.excused)) == (True, {"downtime": 2})


def test_the_audit_sees_doubled_ids_and_lines_that_are_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, trades(1, 1) + b"{}\n")
    segments.recover(layout, "binance")
    accounts: Accounts = audit(layout)
    assert (accounts.doubled, len(accounts.invalid), accounts.in_order) == (1, 1, False)
