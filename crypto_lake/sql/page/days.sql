-- Every day of a symbol in numbers: how much of it was observed, and what its trade ids lack. `bars_1s` is all its days.
-- variables: step (of a bar, µs)
SELECT
    window_start::DATE AS day,
    count(*) FILTER (observed) * getvariable('step') // 1000000 AS observed,
    count(*) FILTER (NOT observed) * getvariable('step') // 1000000 AS missed,
    sum(trade_count)::BIGINT AS trades,
    coalesce(max(last_trade_id) - min(first_trade_id) + 1 - sum(trade_count), 0)::BIGINT AS trades_missing
FROM bars_1s
GROUP BY 1
ORDER BY 1
