-- The runs of ids within bars that lack some.
-- reads `raw` (lines of segments); variables: starts ([start] of those bars, µs), step (µs)
WITH ids AS (
    SELECT DISTINCT ts_event // $step * $step AS start, id
    FROM raw
    WHERE stream = 'trade'
      AND ts_event // $step * $step IN (SELECT unnest($starts::BIGINT[]))
),
numbered AS (
    SELECT start, id, id - row_number() OVER (PARTITION BY start ORDER BY id) AS run FROM ids
)
SELECT start, min(id) AS first_id, max(id) AS last_id
FROM numbered
GROUP BY start, run
ORDER BY start, first_id
