-- The first and the last trade of a day by its bars, and the starts of their bars (µs): of those bars whose ids do not lie
-- absurdly far apart. One row; of nulls where there is no such bar.
-- reads `bars`; variable: most (more ids than trades may lie between a bar's first and last one)
SELECT
    arg_min(first_trade_id, window_start) AS first_id,
    epoch_us(min(window_start)) AS first_start,
    arg_max(last_trade_id, window_start) AS last_id,
    epoch_us(max(window_start)) AS last_start
FROM bars
WHERE trade_count > 0 AND last_trade_id::HUGEINT - first_trade_id <= trade_count + $most
