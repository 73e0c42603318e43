-- What a symbol's day lacks by its own bars: stretches that nobody observed, and trades whose numbers are not there.
-- reads `linked` (linked.sql)
SELECT
    count(*) FILTER (NOT observed AND heard_before) AS gaps,
    coalesce(sum(trades_missing), 0)::BIGINT AS trades_missing
FROM (SELECT *, lag(observed, 1, true) OVER (ORDER BY window_start) AS heard_before FROM linked)
