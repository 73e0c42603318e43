-- Stretches of bars in which nobody was listening, longest first. Those before the symbol was recorded at all do not count.
-- reads `bars`; variables: recorded_before (whether an earlier day has bars), step (µs)
WITH counted AS (
    SELECT window_start, observed
    FROM bars
    WHERE getvariable('recorded_before')
       OR window_start >= (SELECT min(window_start) FROM bars WHERE observed)
),
numbered AS (
    SELECT
        window_start,
        epoch_us(window_start) // getvariable('step') - row_number() OVER (ORDER BY window_start) AS stretch
    FROM counted
    WHERE NOT observed
)
SELECT
    min(window_start) AS "from",
    max(window_start) AS "to",
    count(*) * getvariable('step') // 1000000 AS seconds,
    round(count(*) / (SELECT count(*) FROM counted), 6) AS share
FROM numbered
GROUP BY stretch
ORDER BY seconds DESC, 1
