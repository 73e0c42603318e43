-- A sum over the rows that lines of the book become, and how many these are.
--
-- reads     lines       depth_lines.sql
SELECT count(*), sum(hash(symbol, ts_event, ts_recv, first_id, id, is_snapshot, side, price, qty))
FROM (
    SELECT
        *,
        level[1]::DECIMAL(18, 8) AS price,
        level[2]::DECIMAL(20, 8) AS qty,
        CASE WHEN level IS NOT NULL THEN if(place <= bids, 'bid', 'ask') END AS side
    FROM (
        SELECT
            * EXCLUDE (levels),
            unnest(if(len(levels) = 0, [NULL], levels)) AS level,
            unnest(range(1, greatest(len(levels), 1) + 1)) AS place
        FROM lines
    )
)
