-- How many events and snapshots a day's depth has, whether an event of later follows on its last one, and the lowest and
-- the highest id that its events end with.
--
-- reads     lines       book_scan.outlines
--           chosen      depth_chosen.sql
WITH last AS (
    SELECT max(id) FILTER (NOT is_snapshot) AS id FROM chosen
)
SELECT
    count(*) FILTER (NOT is_snapshot),
    count(*) FILTER (is_snapshot),
    (
        SELECT coalesce(bool_or(lines.first_id - 1 <= last.id), false)
        FROM lines, last
        WHERE NOT lines.is_snapshot AND lines.id > last.id
    ),
    min(id) FILTER (NOT is_snapshot),
    max(id) FILTER (NOT is_snapshot)
FROM chosen
