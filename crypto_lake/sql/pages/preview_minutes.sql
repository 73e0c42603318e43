-- The last minutes of a symbol's day, newest first.
-- reads `bars`; variable: count (of minutes)
SELECT
    symbol,
    strftime(date_trunc('minute', window_start) AT TIME ZONE 'UTC', '%H:%M') AS minute,
    arg_min(open, window_start) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, window_start) AS close,
    round(sum(volume_quote), 8) AS volume_quote,
    sum(trade_count)::BIGINT AS trades,
    arg_max(spread, window_start) AS spread,
    count(*) FILTER (NOT observed) AS unobserved
FROM bars
GROUP BY ALL
ORDER BY minute DESC
LIMIT $count
