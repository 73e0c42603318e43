-- Lines with quotes that came late put where they belong. A connection that is behind another brings quotes after those
-- with higher ids; the exchange made them before. So such a quote has the time of the first that was received of those
-- above it, and by its id it lies before that one. It stays in its hour, since an hour is made from its own segments.
--
-- A higher id that came longer ago than a connection may be behind, or is far above, belongs to another count.
--
-- reads     raw         the lines of segments, once each, with the `slot` that they were read for
-- variables offsets, clocks     as in transform/bars.sql
WITH late_offsets AS (
    SELECT unnest($offsets::STRUCT(clock BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
ordered AS (
    SELECT
        *,
        min(ts_recv) OVER (
            PARTITION BY slot, stream ORDER BY id::HUGEINT RANGE BETWEEN 1 FOLLOWING AND 100000 FOLLOWING
        ) AS before
    FROM raw
)
SELECT
    l.* EXCLUDE (before) REPLACE (
        CASE
            WHEN stream = 'bookTicker' AND ts_event IS NULL AND ts_recv - before BETWEEN 1 AND 5000000
            THEN greatest(before - b.offset_us, (ts_recv - o.offset_us) // 3600000000 * 3600000000)
            ELSE ts_event
        END AS ts_event
    )
FROM ordered AS l
LEFT JOIN late_offsets AS b
    ON ($clocks::BIGINT[])[l.slot + 1] = b.clock AND l.before // 60000000 * 60000000 = b.minute
LEFT JOIN late_offsets AS o
    ON ($clocks::BIGINT[])[l.slot + 1] = o.clock AND l.ts_recv // 60000000 * 60000000 = o.minute
