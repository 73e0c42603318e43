-- Quotes with one id and two contents, as recorders have them that heard the same hour. The lake takes the earliest.
-- reads `raw` (lines of segments)
WITH said AS (
    SELECT id, bid, bid_qty, ask, ask_qty, min(ts_recv) AS ts_recv
    FROM raw
    WHERE stream = 'bookTicker'
    GROUP BY ALL
)
SELECT
    id,
    count(*) AS contents,
    make_timestamptz(min(ts_recv)) AS "at",
    arg_min(concat_ws(' ', bid, bid_qty, ask, ask_qty), (ts_recv, bid, bid_qty, ask, ask_qty)) AS first,
    arg_max(concat_ws(' ', bid, bid_qty, ask, ask_qty), (ts_recv, bid, bid_qty, ask, ask_qty)) AS last
FROM said
GROUP BY id
HAVING count(*) > 1
ORDER BY id
