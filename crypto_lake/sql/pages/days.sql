-- Every day of a symbol in numbers: how much of it was observed, and what its trade ids lack.
-- reads `linked` (linked.sql); variables: step (of a bar, µs)
SELECT
    window_start::DATE AS day,
    count(*) FILTER (observed) * $step // 1000000 AS observed,
    count(*) FILTER (NOT observed) * $step // 1000000 AS missed,
    sum(trade_count)::BIGINT AS trades,
    sum(trades_missing)::BIGINT AS trades_missing
FROM linked
GROUP BY 1
ORDER BY 1
