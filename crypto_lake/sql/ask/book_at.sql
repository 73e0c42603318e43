-- The levels of a book after an event, the best of each side first: of each level what was told of it last.
--
-- reads     depth       a day's depth, with `file_row_number`
--           before      the book at the end of the day before, if the day begins with it, in the columns of depth
-- variables first       the snapshot that the book began with has this id; null: it began with that of the day before
--           after       events with higher ids carry on what it began with
--           last        the last event's id
--           equal       the ids of snapshots that were equal to the book: they tell levels beyond the first one's
--           levels      how many of a side
--           symbol, ts_event    what is shown in every row
WITH told AS (
    SELECT side, price, qty, file_row_number AS place
    FROM depth
    WHERE id <= $last
        AND side IS NOT NULL
        AND CASE
            WHEN is_snapshot THEN id = $first OR list_contains($equal::BIGINT[], id)
            ELSE id > $after
        END
    UNION ALL
    SELECT side, price, qty, -1 AS place FROM before WHERE $first IS NULL
), levels AS (
    SELECT side, price, arg_max(qty, place) AS qty FROM told GROUP BY side, price
)
SELECT
    $symbol::VARCHAR AS symbol,
    make_timestamptz($ts_event::BIGINT) AS ts_event,
    $last::BIGINT AS id,
    side,
    row_number() OVER (PARTITION BY side ORDER BY if(side = 'bid', -price, price)) AS level,
    price,
    qty
FROM levels
WHERE qty > 0
QUALIFY level <= $levels
ORDER BY side = 'ask', level
