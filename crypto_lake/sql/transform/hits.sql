-- How often a trade of an hour was made at the quote that prevailed: a buyer's at the ask, a seller's at the bid. Once
-- with quotes placed by the local clock, as received, and once by the exchange's. A row a slot; null without trades or
-- quotes.
--
-- reads     raw         the lines of the segments that may hold an event of an hour, once each, with their slot
-- variables starts, clocks, offsets       as in bars.sql

WITH lines AS MATERIALIZED (
    SELECT slot, stream, ts_event, ts_recv, id, price, side, bid, ask FROM raw
),
offsets AS (
    SELECT unnest($offsets::STRUCT(clock BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
trades AS (
    SELECT slot, ts_event AS ts, price, side
    FROM lines
    WHERE stream = 'trade' AND ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
),
quotes AS (
    SELECT
        slot,
        id,
        ts_recv AS received,
        coalesce(ts_event, ts_recv - offset_us) AS ts,
        bid::DECIMAL(18, 8) AS bid,
        ask::DECIMAL(18, 8) AS ask
    FROM lines
    LEFT JOIN offsets ON ($clocks::BIGINT[])[slot + 1] = clock AND ts_recv // 60000000 * 60000000 = minute
    WHERE stream = 'bookTicker'
),
as_received AS (
    SELECT slot, received AS ts, max_by({'bid': bid, 'ask': ask}, id) AS quote FROM quotes GROUP BY ALL
),
corrected AS (
    SELECT slot, ts, max_by({'bid': bid, 'ask': ask}, id) AS quote FROM quotes GROUP BY ALL
),
hits AS (
    SELECT
        t.slot,
        t.price = CASE t.side WHEN 'buy' THEN r.quote.ask ELSE r.quote.bid END AS as_received,
        t.price = CASE t.side WHEN 'buy' THEN c.quote.ask ELSE c.quote.bid END AS corrected
    FROM trades AS t
    ASOF LEFT JOIN as_received AS r ON t.slot = r.slot AND t.ts >= r.ts
    ASOF LEFT JOIN corrected AS c ON t.slot = c.slot AND t.ts >= c.ts
)
SELECT slot, avg(as_received::INT), avg(corrected::INT)
FROM hits
RIGHT JOIN (SELECT unnest(range(len($starts::BIGINT[]))) AS slot) USING (slot)
GROUP BY slot
ORDER BY slot
