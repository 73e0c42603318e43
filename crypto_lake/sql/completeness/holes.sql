-- The trades of a day by its bars, in order of time: runs of bars whose ids follow each other, and alone each bar that
-- lacks some of the ids between its first and its last (`short`). An id may be any BIGINT, so sums are of HUGEINT.
-- reads `bars`. Times are starts of bars, µs.
WITH traded AS (
    SELECT
        epoch_us(window_start) AS start,
        first_trade_id AS first_id,
        last_trade_id AS last_id,
        last_id::HUGEINT - first_id >= trade_count AS short
    FROM bars
    WHERE trade_count > 0
),
linked AS (
    SELECT
        *,
        lag(start) OVER by_time AS start_before,
        lag(last_id) OVER by_time AS id_before,
        lag(short) OVER by_time AS short_before
    FROM traded
    WINDOW by_time AS (ORDER BY start)
),
begun AS (
    SELECT * FROM linked WHERE short OR coalesce(short_before, true) OR first_id <> id_before::HUGEINT + 1
)
SELECT
    short,
    first_id,
    coalesce(lead(id_before) OVER by_time, (SELECT arg_max(last_id, start) FROM traded)) AS last_id,
    start,
    coalesce(lead(start_before) OVER by_time, (SELECT max(start) FROM traded)) AS stop
FROM begun
WINDOW by_time AS (ORDER BY start)
ORDER BY start
