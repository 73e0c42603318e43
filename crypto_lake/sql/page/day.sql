-- A symbol's day in one row of numbers. `bars_1s` is the symbol's day.
SELECT
    arg_min(open, window_start) FILTER (trade_count > 0) AS open,
    max(high) FILTER (trade_count > 0) AS high,
    min(low) FILTER (trade_count > 0) AS low,
    arg_max(close, window_start) FILTER (trade_count > 0) AS close,
    sum(volume_base::DECIMAL(38, 8))::DOUBLE AS volume_base,
    sum(volume_quote::DECIMAL(38, 8))::DOUBLE AS volume_quote,
    sum(volume_quote::DECIMAL(38, 8))::DOUBLE / nullif(sum(volume_base::DECIMAL(38, 8))::DOUBLE, 0) AS vwap,
    avg(spread) FILTER (observed) AS spread,
    sum(trade_count)::BIGINT AS trades,
    sum(quote_count)::BIGINT AS quotes,
    coalesce(max(last_trade_id) - min(first_trade_id) + 1 - sum(trade_count), 0)::BIGINT AS trades_missing
FROM bars_1s
