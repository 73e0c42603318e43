-- The ids of trades that were received, of those asked for, in order.
-- reads `raw` (lines of segments); variables: firsts, lasts (the ends of the stretches of ids asked for)
WITH asked AS (
    SELECT unnest($firsts::BIGINT[]) AS first_id, unnest($lasts::BIGINT[]) AS last_id
)
SELECT DISTINCT id
FROM raw
INNER JOIN asked ON id BETWEEN first_id AND last_id
WHERE stream = 'trade'
ORDER BY id
