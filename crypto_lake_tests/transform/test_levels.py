"""Whether a level changed between two ids is what a plain look at every row says."""

from pathlib import Path

import duckdb
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake.schema import DEPTH
from crypto_lake.transform import levels
from crypto_lake.transform.levels import SIDES, Asked
from crypto_lake_tests.booked import write
from crypto_lake_tests.raw_lines import START, SYMBOL

Row = tuple[int, str | None, int, bool]
Question = tuple[int, int, int, int, bool]
ROW = st.tuples(
    st.integers(1, 40),
    st.sampled_from(["bid", "ask", None]),
    st.integers(1, 3),
    st.sampled_from([False] * 6 + [True]),
)
QUESTION = st.tuples(
    st.integers(0, 1), st.integers(1, 3), st.integers(0, 40), st.integers(0, 20), st.booleans()
)


def plain(rows: list[Row], question: Question) -> bool:
    side, price, quote, more, is_vague = question
    boundary = quote + more
    first = min((number for number, *_ in rows), default=0)
    touched = any(
        quote <= number <= boundary and (not is_vague if is_snapshot else (SIDES[side], price) == level)
        for number, *level_of, is_snapshot in rows
        for level in [tuple(level_of)]
    )
    return touched or (quote < first and not is_vague)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=30), st.lists(QUESTION, min_size=1, max_size=8))
def test_a_level_changed_if_any_row_between_tells_of_it(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, rows: list[Row], questions: list[Question]
) -> None:
    told = sorted(rows, key=lambda row: row[0])
    path = tmp_path / "depth.parquet"
    write(
        duck,
        path,
        DEPTH,
        [
            (SYMBOL, START, START, None if snap else number, number, side, side and f"{price}.0", "1.0", snap)
            for number, side, price, snap in told
        ],
    )
    columns = [np.array(some, dtype=np.int64) for some in zip(*questions, strict=True)]
    is_vague = columns[4].astype(bool)
    asked = Asked(columns[0], columns[1] * 10**8, columns[2], columns[2] + columns[3], is_vague)
    assert levels.changed(path, asked).tolist() == [plain(told, one) for one in questions]
