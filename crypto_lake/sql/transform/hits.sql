-- How often a trade of an hour was made at the quote that prevailed: a buyer's at the ask, a seller's at the bid. Once
-- with quotes placed by the local clock, as received, and once by the exchange's. Null without trades or quotes.
--
-- reads     raw         the lines of the segments that may hold an event of the hour, once each (schema.RAW_LINE)
-- variables hour_start, hour_end, offsets       as in bars.sql

WITH lines AS MATERIALIZED (
    SELECT stream, ts_event, ts_recv, id, price, side, bid, ask FROM raw
),
offsets AS (
    SELECT unnest($offsets::STRUCT(minute BIGINT, offset_us BIGINT)[], recursive := true)
),
trades AS (
    SELECT ts_event AS ts, price, side
    FROM lines
    WHERE stream = 'trade' AND ts_event >= $hour_start AND ts_event < $hour_end
),
quotes AS (
    SELECT
        id,
        ts_recv AS received,
        coalesce(ts_event, ts_recv - offset_us) AS ts,
        bid::DECIMAL(18, 8) AS bid,
        ask::DECIMAL(18, 8) AS ask
    FROM lines
    LEFT JOIN offsets ON ts_recv // 60000000 * 60000000 = minute
    WHERE stream = 'bookTicker'
),
as_received AS (
    SELECT received AS ts, max_by({'bid': bid, 'ask': ask}, id) AS quote FROM quotes GROUP BY ALL
),
corrected AS (
    SELECT ts, max_by({'bid': bid, 'ask': ask}, id) AS quote FROM quotes GROUP BY ALL
)
SELECT
    (
        SELECT avg((t.price = CASE t.side WHEN 'buy' THEN q.quote.ask ELSE q.quote.bid END)::INT)
        FROM trades AS t ASOF JOIN as_received AS q ON t.ts >= q.ts
    ) AS as_received,
    (
        SELECT avg((t.price = CASE t.side WHEN 'buy' THEN q.quote.ask ELSE q.quote.bid END)::INT)
        FROM trades AS t ASOF JOIN corrected AS q ON t.ts >= q.ts
    ) AS corrected
