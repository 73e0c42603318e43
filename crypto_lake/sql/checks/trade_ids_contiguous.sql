-- Holes in the trade ids: Binance numbers a symbol's trades without any, so a number that is missing is a missed trade.
-- One row a hole, between two bars, inside one, or between the first bar and `last_id_before`: the missing ids, and the
-- bars on both sides (`from` is null where the trade before it is of an earlier day).
-- reads `bars`, and `raw`: the lines that may belong to bars with holes inside
-- variable: last_id_before (the last trade id of an earlier day, or null)
WITH stretches AS (
    SELECT first_trade_id AS first_id, last_trade_id AS last_id, window_start
    FROM bars
    WHERE last_trade_id - first_trade_id + 1 = trade_count
    UNION ALL
    SELECT DISTINCT id, id, b.window_start
    FROM raw
    JOIN (FROM bars WHERE last_trade_id - first_trade_id + 1 <> trade_count) AS b
        ON id BETWEEN b.first_trade_id AND b.last_trade_id
    WHERE stream = 'trade'
    UNION ALL
    -- Where the raw lines are gone, both ends are all that is known.
    SELECT unnest([first_trade_id, last_trade_id]) AS id, id, window_start
    FROM bars
    WHERE last_trade_id - first_trade_id + 1 <> trade_count
    UNION ALL
    SELECT getvariable('last_id_before')::BIGINT, getvariable('last_id_before')::BIGINT, NULL
    WHERE getvariable('last_id_before') IS NOT NULL
),
followed AS (
    SELECT
        last_id + 1 AS first_missing,
        lead(first_id) OVER (ORDER BY first_id, last_id) - 1 AS last_missing,
        window_start AS before,
        lead(window_start) OVER (ORDER BY first_id, last_id) AS after
    FROM (SELECT DISTINCT * FROM stretches)
)
SELECT
    first_missing AS first_id,
    last_missing AS last_id,
    last_missing - first_missing + 1 AS trades_missing,
    before AS "from",
    after AS "to"
FROM followed
WHERE last_missing >= first_missing
ORDER BY first_id
