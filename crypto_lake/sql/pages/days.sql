-- Every day of a symbol in numbers: how much of it was observed, and what its trade ids lack. `bars_1s` is all its days.
-- variables: step (of a bar, µs)
-- More than an exchange can have traded in the time is a jump of its ids, and not missing (numbering.py has the numbers).
WITH linked AS (
    SELECT
        *,
        last_trade_id::HUGEINT - coalesce(lag(last_trade_id IGNORE NULLS) OVER so_far, first_trade_id - 1) - trade_count
            AS lacking,
        epoch(window_start) - lag(CASE WHEN trade_count > 0 THEN epoch(window_start) END IGNORE NULLS) OVER so_far
            AS seconds
    FROM bars_1s
    WINDOW so_far AS (PARTITION BY window_start::DATE ORDER BY window_start)
)
SELECT
    window_start::DATE AS day,
    count(*) FILTER (observed) * $step // 1000000 AS observed,
    count(*) FILTER (NOT observed) * $step // 1000000 AS missed,
    sum(trade_count)::BIGINT AS trades,
    coalesce(sum(lacking) FILTER (lacking BETWEEN 0 AND 100000 + 5000 * coalesce(seconds, 0)), 0)::BIGINT AS trades_missing
FROM linked
GROUP BY 1
ORDER BY 1
