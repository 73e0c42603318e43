-- The trades of a day by its bars, in order of time: runs of bars whose ids follow each other, and alone each bar that
-- lacks some of the ids between its first and its last (`short`). An id may be any BIGINT, so sums are of HUGEINT.
-- reads `bars`. Times are starts of bars, µs.
WITH traded AS (
    SELECT
        epoch_us(window_start) AS start,
        first_trade_id AS first_id,
        last_trade_id AS last_id,
        last_id::HUGEINT - first_id + 1 > trade_count AS short,
        lag(last_id) OVER (ORDER BY start) AS id_before
    FROM bars
    WHERE trade_count > 0
),
begun AS (
    SELECT
        *,
        short
            OR coalesce(lag(short) OVER (ORDER BY start), true)
            OR first_id <> id_before::HUGEINT + 1 AS begins
    FROM traded
),
numbered AS (
    SELECT *, sum(begins::INT) OVER (ORDER BY start) AS run FROM begun
)
SELECT
    bool_or(short) AS short,
    arg_min(first_id, start) AS first_id,
    arg_max(last_id, start) AS last_id,
    min(start) AS start,
    max(start) AS stop
FROM numbered
GROUP BY run
ORDER BY start
