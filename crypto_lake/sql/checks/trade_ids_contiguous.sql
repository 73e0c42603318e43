-- Holes in the trade ids, as far as bars alone know, of an exchange that numbers a symbol's trades without any: a number
-- that is not there is a missed trade. One row a hole: between two bars, between the first bar and `last_id_before`, or
-- inside of one, of which only both ends are known.
-- reads `bars`; variables: last_id_before (the last trade id of an earlier day, or null), most_at_once, most_a_second
--              (how many trades an exchange makes at most)
WITH traded AS (
    SELECT
        window_start,
        first_trade_id::HUGEINT AS first_trade_id,
        last_trade_id::HUGEINT AS last_trade_id,
        trade_count,
        lag(window_start) OVER (ORDER BY window_start) AS before,
        coalesce(
            lag(last_trade_id) OVER (ORDER BY window_start), $last_id_before::HUGEINT, first_trade_id - 1
        ) AS id_before
    FROM bars
    WHERE trade_count > 0
)
SELECT
    id_before + 1 AS first_id,
    first_trade_id - 1 AS last_id,
    first_trade_id - id_before - 1 AS trades_missing,
    before AS "from",
    window_start AS "to"
FROM traded
WHERE first_trade_id > id_before + 1
  -- More than an exchange can have traded in the time is a jump of its ids, and not missing.
  AND first_trade_id - id_before - 1 <= $most_at_once
        + $most_a_second * coalesce(date_diff('second', before, window_start) + 1, 86400)
UNION ALL
SELECT
    first_trade_id + 1,
    last_trade_id - 1,
    last_trade_id - first_trade_id + 1 - trade_count,
    window_start,
    window_start
FROM traded
WHERE last_trade_id - first_trade_id + 1 - trade_count BETWEEN 1 AND $most_at_once
ORDER BY first_id
