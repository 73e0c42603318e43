-- The lines of the book that a day's depth is made of, once each, in stretches of so many bytes of levels.
--
-- Of events with one last id the one with the most ids says all that the others say, since quantities are absolute. One
-- that ends within another one stays: it tells what was there at its own end.
-- A snapshot has no time of the exchange. It is of the day of the event that carries it on, else of the one before it.
--
-- reads     lines       book_scan.outlines
-- variables start, stop the day, µs
--           most        bytes of levels in a stretch
WITH events AS (
    SELECT first_id, id, min(ts_event) AS ts_event, max(size) AS size, count(*) AS copies
    FROM lines
    WHERE NOT is_snapshot
    GROUP BY first_id, id
), whole AS (
    FROM events
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY first_id) = 1
), snapshots AS (
    SELECT id, min(ts_recv) AS ts_recv, max(size) AS size, count(*) AS copies FROM lines WHERE is_snapshot GROUP BY id
), placed AS (
    SELECT
        snapshots.*,
        CASE
            WHEN following.first_id - 1 <= snapshots.id THEN following.ts_event
            ELSE coalesce(before.ts_event, snapshots.ts_recv)
        END AS happened
    FROM snapshots
    ASOF LEFT JOIN whole AS following ON snapshots.id < following.id
    ASOF LEFT JOIN whole AS before ON snapshots.id >= before.id
), found AS (
    SELECT false AS is_snapshot, first_id, id, size, copies, ts_event AS happened FROM whole
    UNION ALL
    SELECT true, NULL, id, size, copies, happened FROM placed
)
SELECT
    is_snapshot,
    coalesce(first_id, -1) AS first_id,
    id,
    copies,
    sum(size) OVER (ORDER BY id, is_snapshot ROWS UNBOUNDED PRECEDING) // $most AS stretch
FROM found
WHERE happened >= $start AND happened < $stop
