-- A symbol's day in one row of numbers. `bars_1s` is the symbol's day.
-- More than an exchange can have traded in the time is a jump of its ids, and not missing (numbering.py has the numbers).
WITH linked AS (
    SELECT
        *,
        last_trade_id::HUGEINT - coalesce(lag(last_trade_id IGNORE NULLS) OVER so_far, first_trade_id - 1) - trade_count
            AS lacking,
        epoch(window_start) - lag(CASE WHEN trade_count > 0 THEN epoch(window_start) END IGNORE NULLS) OVER so_far
            AS seconds
    FROM bars_1s
    WINDOW so_far AS (ORDER BY window_start)
)
SELECT
    arg_min(open, window_start) FILTER (trade_count > 0) AS open,
    max(high) FILTER (trade_count > 0) AS high,
    min(low) FILTER (trade_count > 0) AS low,
    arg_max(close, window_start) FILTER (trade_count > 0) AS close,
    exact_sum(volume_base) AS volume_base,
    exact_sum(volume_quote) AS volume_quote,
    exact_sum(volume_quote) / nullif(exact_sum(volume_base), 0) AS vwap,
    avg(spread) FILTER (observed) AS spread,
    sum(trade_count)::BIGINT AS trades,
    sum(quote_count)::BIGINT AS quotes,
    coalesce(sum(lacking) FILTER (lacking BETWEEN 0 AND 100000 + 5000 * coalesce(seconds, 0)), 0)::BIGINT AS trades_missing
FROM linked
