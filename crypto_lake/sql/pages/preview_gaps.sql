-- What a symbol's day lacks by its own bars: stretches that nobody observed, and trades whose numbers are not there.
-- More than an exchange can have traded in the time is a jump of its ids, and not missing (numbering.py has the numbers).
WITH linked AS (
    SELECT
        *,
        lag(observed, 1, true) OVER so_far AS heard_before,
        last_trade_id::HUGEINT - coalesce(lag(last_trade_id IGNORE NULLS) OVER so_far, first_trade_id - 1) - trade_count
            AS lacking,
        epoch(window_start) - lag(CASE WHEN trade_count > 0 THEN epoch(window_start) END IGNORE NULLS) OVER so_far
            AS seconds
    FROM bars
    WINDOW so_far AS (ORDER BY window_start)
)
SELECT
    count(*) FILTER (NOT observed AND heard_before) AS gaps,
    coalesce(sum(lacking) FILTER (lacking BETWEEN 0 AND 100000 + 5000 * coalesce(seconds, 0)), 0)::BIGINT AS trades_missing
FROM linked
