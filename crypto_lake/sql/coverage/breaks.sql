-- How often an event of a day's depth is not the next one after that before it: some ids between them are missing.
-- reads `depth`; variables: before (the last id of the day before, null: not known)
WITH events AS (
    SELECT DISTINCT first_id, id
    FROM depth
    WHERE NOT is_snapshot
),
chain AS (
    SELECT
        first_id,
        max(id) OVER (ORDER BY id, first_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_id
    FROM events
)
SELECT count(*) FILTER (first_id - 1 > coalesce(last_id, $before::BIGINT))
FROM chain
