"""The checks on ticks: ids, columns, bytes."""

from collections.abc import Callable

from crypto_lake import checks
from crypto_lake.checks import Verdict
from crypto_lake.series import Series
from crypto_lake.transform import ticks
from crypto_lake_tests.checks.days import Duck, landed, run
from crypto_lake_tests.raw_lines import DAY, LATER, SECOND, START, SYMBOL, trade


def on_ticks(duck: Duck, series: Series, name: str) -> Verdict:
    (check,) = (check for check in checks.ON["ticks"] if check.name == name)
    return run(check, duck, series, asset="ticks")


def test_ticks_that_lack_trades_are_told_by_the_ids(duck: Duck, incomplete: Callable[..., Series]) -> None:
    series = incomplete(3, 9, 10)
    ticks.make(duck, series, DAY, LATER)
    verdict = on_ticks(duck, series, "trade_ids_contiguous")
    assert verdict.outcome == "warning"
    assert [(row["first_id"], row["last_id"]) for row in verdict.rows[SYMBOL]] == [(3, 3), (9, 10)]


def test_ticks_of_other_columns_are_named_by_their_kind(duck: Duck, finished: Series) -> None:
    path = finished.layout.ticks("binance", SYMBOL, "quotes", DAY)
    duck.execute(f"COPY (SELECT 1 AS x) TO '{path}' (FORMAT parquet)")
    (row,) = on_ticks(duck, finished, "schema_matches").rows[SYMBOL]
    assert row["file"] == f"quotes/{DAY}.parquet"


def test_ticks_with_a_byte_changed_are_found(duck: Duck, finished: Series) -> None:
    path = finished.layout.ticks("binance", SYMBOL, "trades", DAY)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert on_ticks(duck, finished, "checksum_matches").outcome == "failed"


def test_in_ticks_a_jump_of_the_ids_is_no_missing_trade(duck: Duck, series: Series) -> None:
    ids = [1_000_100, 1_000_101, 1, 2, 5, 10**12]
    landed(duck, series, [trade(n, START + at * SECOND) for at, n in enumerate(ids)])
    ticks.make(duck, series, DAY, LATER)
    verdict = on_ticks(duck, series, "trade_ids_contiguous")
    assert [(row["first_id"], row["last_id"]) for row in verdict.rows[SYMBOL]] == [(3, 4)]
