-- The stretches nobody listened to of which healed trades prove that nothing is missing: they lie between two trades whose
-- ids run on without a hole, and at least one trade from the one before to the one after was healed. What was healed only
-- in part is proved in part.
-- reads `received`, `healed` (raw lines); variable: missed ([{start, stop}], disjoint, µs)
WITH lines AS (
    SELECT id, ts_recv, ts_event AS ts, false AS is_healed FROM received WHERE stream = 'trade'
    UNION ALL
    SELECT id, ts_recv, ts_event AS ts, true AS is_healed FROM healed
),
trades AS MATERIALIZED (
    -- When it happened is what the line received first says, as in once.sql.
    SELECT
        id,
        struct_extract(min({'ts_recv': ts_recv, 'ts': ts}), 'ts') AS ts,
        bool_and(is_healed) AS is_healed,
        id - row_number() OVER (ORDER BY id) AS run
    FROM lines
    GROUP BY id
),
runs AS (
    SELECT run, min(ts) AS first_ts, max(ts) AS last_ts FROM trades GROUP BY run HAVING bool_or(is_healed)
),
missed AS (
    SELECT unnest($missed::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
pieces AS (
    SELECT run, greatest(start, first_ts) AS start, least(stop, last_ts) AS stop
    FROM missed JOIN runs ON start < last_ts AND stop > first_ts
),
ends AS (
    SELECT
        run,
        start,
        stop,
        max(id) FILTER (ts <= start) AS id_before,
        min(id) FILTER (ts >= stop) AS id_after
    FROM pieces JOIN trades USING (run)
    GROUP BY run, start, stop
)
SELECT DISTINCT start, stop
FROM ends JOIN trades USING (run)
WHERE is_healed AND id BETWEEN id_before AND id_after
ORDER BY start
