"""What Dagster is told of a verdict."""

from dataclasses import replace

import dagster as dg
import pytest

from crypto_lake import checks, definitions  # noqa: F401 - defining silences warnings about what is young in Dagster
from crypto_lake.checks import Verdict
from crypto_lake.config import Config
from crypto_lake.defs import metadata
from crypto_lake.defs.asset_checks import told
from crypto_lake.defs.launch import Verdict as Told
from crypto_lake.operate import jobs
from crypto_lake_tests.raw_lines import DAY

UNPROVED = Verdict(
    checks.EQUALS_EXCHANGE_CANDLES,
    DAY,
    {"A": 0, "B": 0, "C": 0},
    {},
    "ERROR",
    {"A": "it skips", "B": "it skips"},
)


def test_what_is_unverifiable_is_a_warning_that_says_what_it_is() -> None:
    assert told(UNPROVED) == {
        "passed": False,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": "unverifiable: A, B: it skips",
    }


def test_metadata_have_the_outcome_and_the_reason() -> None:
    found = metadata.of_verdict(UNPROVED)
    assert (found["outcome"], found["unverifiable"], found["offending_rows"]) == (
        "unverifiable",
        "A, B: it skips",
        0,
    )
    assert "unverifiable" not in metadata.of_verdict(Verdict(checks.EQUALS_EXCHANGE_CANDLES, DAY, {"A": 0}))


def test_of_a_thousand_symbols_without_proof_a_few_are_named() -> None:
    many = {f"S{number}": "it skips" for number in range(1000)}
    told_of = metadata.unverifiable(replace(UNPROVED, unverifiable=many))
    assert told_of.endswith("S9 and 990 more: it skips")


def test_an_offending_row_of_one_symbol_counts_more_than_another_symbol_without_proof() -> None:
    found = Verdict(checks.EQUALS_EXCHANGE_CANDLES, DAY, {"A": 0, "B": 1}, {}, "ERROR", {"A": "it skips"})
    assert found.outcome == "failed"
    assert (told(found)["passed"], told(found)["severity"]) == (False, dg.AssetCheckSeverity.ERROR)


def test_what_passed_has_no_description_of_its_own() -> None:
    found = told(Verdict(checks.EQUALS_EXCHANGE_CANDLES, DAY, {"A": 0}))
    assert (found["passed"], found["description"]) == (True, None)


def test_what_is_unverifiable_is_told_by_validate_and_is_no_failure(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = Told(
        DAY, "daily_bars", "equals_exchange_candles", "unverifiable", metadata.of_verdict(UNPROVED)
    )
    assert jobs.report_verdicts(lake, [verdict]) == 0
    assert "equals_exchange_candles is unverifiable: A, B: it skips\n" in capsys.readouterr().out
