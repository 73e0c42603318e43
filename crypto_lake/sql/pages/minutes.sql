-- A symbol's day as its page draws it: the longer bars of views.sql, the day's VWAP so far, and how each was heard.
-- `bars_1s` is the symbol's day. variables: listened ([{start, stop}], disjoint), healed (whether anything was),
--           step (of a bar, µs), length (of a row, µs)
WITH listened AS (
    SELECT unnest($listened::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
seconds AS (
    SELECT
        epoch_us(b.window_start) // $length AS minute,
        b.observed,
        b.spread,
        b.observed AND $healed
            AND NOT coalesce(l.stop >= epoch_us(b.window_start) + $step, false) AS healed
    FROM bars_1s AS b
    ASOF LEFT JOIN listened AS l ON epoch_us(b.window_start) >= l.start
),
heard AS (
    SELECT
        minute,
        avg(spread) FILTER (observed) AS spread,
        count(*) FILTER (observed AND NOT healed) * $step // 1000000 AS live,
        count(*) FILTER (healed) * $step // 1000000 AS healed,
        count(*) FILTER (NOT observed) * $step // 1000000 AS missed
    FROM seconds
    GROUP BY minute
)
SELECT
    epoch_us(m.window_start) // 1000000 AS time,
    open,
    high,
    low,
    close,
    volume_base,
    volume_quote,
    vwap,
    sum(volume_quote) OVER so_far / nullif(sum(volume_base) OVER so_far, 0) AS vwap_so_far,
    heard.spread,
    trade_count AS trades,
    quote_count AS quotes,
    live,
    healed,
    missed
FROM resampled($length) AS m
JOIN heard ON heard.minute = epoch_us(m.window_start) // $length
WINDOW so_far AS (ORDER BY m.window_start)
ORDER BY 1
