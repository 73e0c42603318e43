-- The quotes of one hour, once each, in order of their time on the exchange's clock, and of their ids.
--
-- reads     once    the lines that may be of the hour, each once (schema.RAW_LINE)
-- variables symbol, hour_start, hour_end             integers are µs since the epoch, UTC
--           offsets     [{clock, minute, offset_us}]   the clock offset of each minute of receipt that the hour may need

WITH offsets AS (
    SELECT unnest($offsets::STRUCT(clock BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
placed AS (
    SELECT r.* EXCLUDE (ts_event), coalesce(r.ts_event, r.ts_recv - o.offset_us) AS ts
    FROM once AS r
    LEFT JOIN offsets AS o ON r.ts_recv // 60000000 * 60000000 = o.minute
    WHERE r.stream = 'bookTicker'
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
WHERE ts >= $hour_start
  AND ts < $hour_end
ORDER BY ts, id
