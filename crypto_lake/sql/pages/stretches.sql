-- Stretches of a symbol's day that nobody observed, or that healed trades prove, to the second; longest first.
-- `bars_1s` and variables (listened, healed, step) as in minutes.sql.
WITH listened AS (
    SELECT unnest($listened::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
seconds AS (
    SELECT
        epoch_us(b.window_start) AS us,
        CASE
            WHEN NOT b.observed THEN 'unobserved'
            WHEN $healed AND NOT coalesce(l.stop >= us + $step, false) THEN 'healed'
        END AS state
    FROM bars_1s AS b
    ASOF LEFT JOIN listened AS l ON epoch_us(b.window_start) >= l.start
),
numbered AS (
    SELECT us, state, us // $step - row_number() OVER (PARTITION BY state ORDER BY us) AS stretch
    FROM seconds
    WHERE state IS NOT NULL
)
SELECT
    state,
    min(us) // 1000000 AS begin,
    (max(us) + $step) // 1000000 AS until
FROM numbered
GROUP BY state, stretch
ORDER BY until - begin DESC, begin
