-- Intervals that have more than one bar.
-- reads `bars`
SELECT window_start, count(*) AS bars
FROM bars
GROUP BY window_start
HAVING count(*) > 1
ORDER BY window_start
