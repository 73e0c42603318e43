-- The quotes of hours, in order of the hours, and within one of their time on the exchange's clock, and of their ids.
--
-- reads     lines       as tick_trades.sql; what may be of an hour, each once
--           clock       slot, minute, offset_us: the clock offset of each minute of receipt that an hour may need
-- variables symbol, starts     as tick_trades.sql

WITH placed AS (
    SELECT l.* EXCLUDE (ts_event), coalesce(l.ts_event, l.ts_recv - c.offset_us) AS ts
    FROM lines AS l
    LEFT JOIN clock AS c ON l.slot = c.slot AND l.ts_recv // 60000000 * 60000000 = c.minute
    WHERE l.stream = 'bookTicker'
)
SELECT
    $symbol::VARCHAR AS symbol,
    id,
    make_timestamptz(ts) AS ts_event,
    make_timestamptz(ts_recv) AS ts_recv,
    bid::DECIMAL(18, 8) AS bid,
    bid_qty::DECIMAL(20, 8) AS bid_qty,
    ask::DECIMAL(18, 8) AS ask,
    ask_qty::DECIMAL(20, 8) AS ask_qty
FROM placed
WHERE ts // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
ORDER BY slot, ts, id
