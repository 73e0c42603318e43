-- The trades of one hour, once each, in order of their ids.
--
-- reads     raw     the lines of the segments that may hold a trade of the hour (schema.RAW_LINE)
-- variables symbol, hour_start, hour_end     integers are µs since the epoch, UTC

SELECT
    getvariable('symbol')::VARCHAR AS symbol,
    id,
    make_timestamptz(min(ts_event)) AS ts_event,
    make_timestamptz(min(ts_recv)) AS ts_recv,
    min(price) AS price,
    min(qty) AS qty,
    min(side) AS side
FROM raw
WHERE price IS NOT NULL
  AND ts_event >= getvariable('hour_start')
  AND ts_event < getvariable('hour_end')
GROUP BY id
ORDER BY id
