-- The trades of one hour, once each, in order of their ids.
--
-- reads     once    the hour's lines, each once (schema.RAW_LINE)
-- variables symbol

SELECT
    $symbol::VARCHAR AS symbol,
    id,
    make_timestamptz(ts_event) AS ts_event,
    make_timestamptz(ts_recv) AS ts_recv,
    price,
    qty,
    side
FROM once
WHERE stream = 'trade'
ORDER BY id
