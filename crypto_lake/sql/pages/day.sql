-- A symbol's day in one row of numbers.
-- reads `linked` (linked.sql)
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
    sum(trades_missing)::BIGINT AS trades_missing
FROM linked
