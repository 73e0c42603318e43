-- A symbol's bars, each with `trades_missing`: how many trade ids are not there in it, or since the bar with trades before
-- it on its day. More than an exchange can have traded in the time is a jump of its ids, and not missing.
-- reads `bars`; variables: most_at_once, most_a_second (how many trades an exchange makes at most)
SELECT
    * EXCLUDE (lacking, seconds),
    CASE WHEN lacking BETWEEN 0 AND $most_at_once + $most_a_second * coalesce(seconds, 0) THEN lacking ELSE 0 END
        AS trades_missing
FROM (
    SELECT
        *,
        last_trade_id::HUGEINT - coalesce(lag(last_trade_id IGNORE NULLS) OVER so_far, first_trade_id - 1) - trade_count
            AS lacking,
        epoch(window_start) - lag(CASE WHEN trade_count > 0 THEN epoch(window_start) END IGNORE NULLS) OVER so_far
            AS seconds
    FROM bars
    WINDOW so_far AS (PARTITION BY window_start::DATE ORDER BY window_start)
)
