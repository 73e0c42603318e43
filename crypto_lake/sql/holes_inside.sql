-- The ids missing within bars that lack some.
-- reads `raw` (put in its place); variables: starts ([start] of those bars, µs), step (µs)
WITH ids AS (
    SELECT DISTINCT ts_event // getvariable('step') * getvariable('step') AS start, id
    FROM raw
    WHERE price IS NOT NULL
      AND ts_event // getvariable('step') * getvariable('step') IN (SELECT unnest(getvariable('starts')::BIGINT[]))
),
neighbours AS (
    SELECT start, id, lag(id) OVER (PARTITION BY start ORDER BY id) AS id_before FROM ids
)
SELECT id_before + 1 AS first_id, id - 1 AS last_id, start
FROM neighbours
WHERE id > id_before + 1
ORDER BY first_id
