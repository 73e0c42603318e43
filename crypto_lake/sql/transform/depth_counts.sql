-- How many events and snapshots a day's depth has, and whether an event of later follows on its last one.
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
        SELECT coalesce(bool_or(lines.first_id <= last.id + 1), false)
        FROM lines, last
        WHERE NOT lines.is_snapshot AND lines.id > last.id
    )
FROM chosen
