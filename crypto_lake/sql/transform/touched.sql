-- Of levels in question: whether each changed between a quote and a boundary.
-- What is asked of the day's level changes is which of them, at that price of that side, came last before the boundary. A
-- snapshot tells each level anew. What was before the day's first event is not known, and counts as a change.
-- reads `disputed` (number, side, price, quote_id, id), `depth`
WITH changes AS (
    SELECT d.side, d.price, d.id
    FROM depth AS d
    SEMI JOIN disputed USING (side, price)
    WHERE NOT d.is_snapshot
),
snapshots AS (
    SELECT DISTINCT id
    FROM depth
    WHERE is_snapshot
),
beginning AS (
    SELECT coalesce(min(first_id), min(id)) AS id
    FROM depth
)
SELECT
    q.number,
    coalesce(c.id >= q.quote_id, false)
        OR coalesce(s.id >= q.quote_id, false)
        OR q.quote_id < (SELECT id FROM beginning) AS changed
FROM disputed AS q
ASOF LEFT JOIN changes AS c ON c.side = q.side AND c.price = q.price AND c.id <= q.id
ASOF LEFT JOIN snapshots AS s ON s.id <= q.id
