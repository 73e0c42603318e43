-- Trades with one id and two contents, as two recordings or the exchange have them. The lake takes the one received first.
-- A time in whole milliseconds is another spelling of the same time.
-- reads `raw` (lines of segments); variables: hours ([hour], starts of the hours that are looked at, µs)
WITH said AS (
    SELECT id, ts_event, price, qty, side, min(ts_recv) AS ts_recv
    FROM raw
    WHERE stream = 'trade'
      AND ts_event // 3600000000 * 3600000000 IN (SELECT unnest($hours::BIGINT[]))
    GROUP BY ALL
)
SELECT
    id,
    count(*) AS contents,
    make_timestamptz(min(ts_event)) AS "at",
    arg_min(concat_ws(' ', ts_event, price, qty, side), (ts_recv, ts_event, price, qty, side)) AS first,
    arg_max(concat_ws(' ', ts_event, price, qty, side), (ts_recv, ts_event, price, qty, side)) AS last
FROM said
GROUP BY id
HAVING count(DISTINCT (price, qty, side)) > 1
    OR (min(ts_event) <> max(ts_event) AND min(ts_event) // 1000 * 1000 NOT IN (min(ts_event), max(ts_event)))
    OR max(ts_event) - min(ts_event) >= 1000
ORDER BY id
