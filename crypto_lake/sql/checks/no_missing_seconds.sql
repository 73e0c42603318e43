-- Intervals that should have a bar and have none, as stretches.
-- reads `bars`; variables: start, until (the first instant, and the end of the last whole interval, µs), step (µs)
WITH missing AS (
    SELECT unnest(range($start, $until, $step)) AS start
    EXCEPT
    SELECT epoch_us(window_start) FROM bars
),
numbered AS (
    SELECT start, start // $step - row_number() OVER (ORDER BY start) AS stretch FROM missing
)
SELECT make_timestamptz(min(start)) AS "from", make_timestamptz(max(start)) AS "to", count(*) AS bars_missing
FROM numbered
GROUP BY stretch
ORDER BY 1
