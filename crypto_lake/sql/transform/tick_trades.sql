-- The trades of hours, in order of the hours, and within one of their ids.
--
-- reads     lines       of the hours, each once (schema.RAW_LINE), with the `slot` of the hour that they were read for
-- variables symbol
--           starts      of each slot: the start of its hour (µs since the epoch, UTC)

SELECT
    $symbol::VARCHAR AS symbol,
    id,
    make_timestamptz(ts_event) AS ts_event,
    make_timestamptz(ts_recv) AS ts_recv,
    price,
    qty,
    side
FROM lines
WHERE stream = 'trade' AND ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
ORDER BY slot, id
