-- How much the order book offered over a day, by distance from the middle of best bid and ask: bids below, asks above.
-- Of every `every` seconds one is looked at. Rows of a side reach as far as nine of ten of the levels do.
-- reads `book`; variables: every (s), length (of a column, µs), rows (of a side)
WITH seconds AS (
    SELECT
        epoch_us(window_start) // $length AS part,
        (bids[1].price + asks[1].price)::DOUBLE / 2 AS middle,
        bids,
        asks
    FROM book
    WHERE len(bids) > 0 AND len(asks) > 0 AND epoch_us(window_start) // 1000000 % $every = 0
),
levels AS (
    SELECT part, level.price::DOUBLE / middle - 1 AS distance, level.qty::DOUBLE AS qty
    FROM (SELECT part, middle, unnest(bids || asks) AS level FROM seconds)
),
looks AS (
    SELECT part, count(*) AS looks
    FROM seconds
    GROUP BY part
),
reach AS (
    SELECT quantile_cont(abs(distance), 0.9) AS reach
    FROM levels
)
SELECT
    part * $length // 1000000 AS time,
    greatest(-$rows, least($rows - 1, floor(distance / reach * $rows)))::INTEGER AS row,
    sum(qty) / any_value(looks) AS qty,
    any_value(reach) AS reach
FROM levels
JOIN looks USING (part)
CROSS JOIN reach
WHERE abs(distance) <= reach AND reach > 0
GROUP BY 1, 2
ORDER BY 1, 2
