-- The lines of a stretch, in order: of copies the one that came first, of snapshots the one that tells most.
--
-- reads     lines       book_scan.lines
--           chosen      depth_chosen.sql
-- variables stretch     its number
SELECT
    symbol,
    ts_event,
    min(lines.ts_recv) OVER same AS ts_recv,
    lines.first_id,
    id,
    is_snapshot,
    len(bids) AS bids,
    len(levels) AS count,
    levels
FROM (SELECT *, stream = 'depthSnapshot' AS is_snapshot, list_concat(bids, asks) AS levels FROM lines) AS lines
JOIN (FROM chosen WHERE stretch = $stretch) AS chosen
    USING (is_snapshot, id)
WHERE coalesce(lines.first_id, -1) = chosen.first_id
WINDOW same AS (PARTITION BY is_snapshot, id)
QUALIFY
    row_number() OVER (
        PARTITION BY is_snapshot, id
        ORDER BY
            CASE WHEN is_snapshot THEN -len(levels) ELSE ts_event END,
            lines.ts_recv,
            CASE WHEN copies > 1 THEN levels::VARCHAR END
    ) = 1
ORDER BY id, is_snapshot
