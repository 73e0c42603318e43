-- Of the lines of hours that several recorders heard the one of each id that raw/merged.sql takes, said in another way, to
-- see whether that was right.
--
-- reads     raw         as raw/merged.sql
-- variables readings, reading_offsets, starts, margin     as raw/merged.sql
WITH readings AS (
    SELECT
        unnest($readings::STRUCT(slot BIGINT, here BOOLEAN, before BOOLEAN)[], recursive := true),
        unnest(range(len($readings::STRUCT(slot BIGINT, here BOOLEAN, before BOOLEAN)[]))) AS reading
),
reading_offsets AS (
    SELECT unnest($reading_offsets::STRUCT(reading BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
placed AS (
    SELECT
        l.* EXCLUDE (slot),
        r.*,
        ($starts::BIGINT[])[r.slot + 1] AS start,
        CASE WHEN l.stream = 'trade' THEN l.ts_event ELSE coalesce(l.ts_event, l.ts_recv - o.offset_us) END AS instant
    FROM raw AS l
    JOIN readings AS r ON l.slot = r.reading
    LEFT JOIN reading_offsets AS o ON l.slot = o.reading AND l.ts_recv // 60000000 * 60000000 = o.minute
),
firsts AS (
    SELECT *, min(CASE WHEN before THEN instant END) OVER (PARTITION BY slot, stream, id) AS elsewhere
    FROM placed
    WHERE stream <> 'trade' OR instant // 3600000000 * 3600000000 = start
    QUALIFY row_number() OVER (
        PARTITION BY slot, stream, id
        ORDER BY
            (stream = 'trade' OR here OR instant < start + $margin) DESC,
            CASE WHEN stream <> 'trade' THEN instant END,
            CASE WHEN stream <> 'trade' THEN reading END,
            ts_recv, ts_event, price, qty, side, bid, bid_qty, ask, ask_qty
    ) = 1
)
SELECT * REPLACE (greatest(instant, start) AS ts_event)
FROM firsts
WHERE stream = 'trade'
    OR (
        (here OR instant < start + $margin)
        AND instant >= start - $margin
        AND coalesce(elsewhere >= start, true)
    )
