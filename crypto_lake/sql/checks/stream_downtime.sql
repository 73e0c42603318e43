-- Stretches in which nobody was listening, longest first. Those before the symbol was recorded at all do not count.
-- variables: listened ([{start, stop}], disjoint), start, until (of the day, µs), step (µs)
--            recorded_before (whether there is an earlier day)
WITH listened AS (
    SELECT unnest($listened::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
seconds AS (
    SELECT unnest(range($start, $until, $step)) AS second
),
counted AS (
    SELECT s.second, coalesce(l.stop >= s.second + $step, false) AS observed
    FROM seconds AS s
    ASOF LEFT JOIN listened AS l ON s.second >= l.start
    WHERE $recorded_before OR s.second >= (SELECT min(start) FROM listened)
),
numbered AS (
    SELECT second, second // $step - row_number() OVER (ORDER BY second) AS stretch
    FROM counted
    WHERE NOT observed
)
SELECT
    make_timestamptz(min(second)) AS "from",
    make_timestamptz(max(second) + $step) AS "to",
    count(*) * $step // 1000000 AS seconds,
    round(count(*) / (SELECT count(*) FROM counted), 6) AS share
FROM numbered
GROUP BY stretch
ORDER BY seconds DESC, 1
