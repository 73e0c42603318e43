-- The numbers of each subject's bars of a day, which lie in the order of subjects.
-- reads `bars`, by subject
SELECT subject, count(*) FILTER (observed) AS observed, sum(trade_count)::BIGINT, sum(quote_count)::BIGINT
FROM bars
GROUP BY subject
ORDER BY subject
