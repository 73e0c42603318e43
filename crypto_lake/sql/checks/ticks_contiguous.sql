-- Holes in the trade ids of a day's ticks: one row a hole, with the times of the trades on both sides (`from` is null where
-- the trade before it is of an earlier day).
-- reads `trades`; variables: last_id_before (the last trade id of an earlier day, or null), most_at_once, most_a_second
--                (how many trades an exchange makes at most)
WITH followed AS (
    SELECT
        id::HUGEINT AS id,
        ts_event,
        lag(ts_event) OVER (ORDER BY id) AS ts_before,
        coalesce(lag(id) OVER (ORDER BY id)::HUGEINT, $last_id_before::HUGEINT) AS id_before
    FROM trades
)
SELECT
    id_before + 1 AS first_id,
    id - 1 AS last_id,
    id - id_before - 1 AS trades_missing,
    ts_before AS "from",
    ts_event AS "to"
FROM followed
WHERE id > id_before + 1
  -- More than an exchange can have traded in the time is a jump of its ids, and not missing.
  AND id - id_before - 1 <= $most_at_once
        + $most_a_second * greatest(0, coalesce(date_diff('second', ts_before, ts_event), 86400))
ORDER BY first_id
