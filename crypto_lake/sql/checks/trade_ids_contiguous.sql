-- Holes in the trade ids: Binance numbers a symbol's trades without any, so a number that is missing is a missed trade.
-- Holes inside a bar, between two bars, and between the first bar and `last_id_before`.
-- reads `bars`; variable: last_id_before (the last trade id of an earlier day, or null)
WITH traded AS (
    SELECT
        window_start,
        first_trade_id,
        last_trade_id,
        trade_count,
        coalesce(
            lag(last_trade_id) OVER (ORDER BY window_start), getvariable('last_id_before')::BIGINT, first_trade_id - 1
        ) AS id_before
    FROM bars
    WHERE trade_count > 0
)
SELECT
    window_start,
    id_before + 1 AS expected_id,
    first_trade_id,
    last_trade_id,
    trade_count,
    last_trade_id - id_before - trade_count AS trades_missing
FROM traded
WHERE last_trade_id - id_before <> trade_count
ORDER BY window_start
