-- Where trades are missing by the bars of a day: between two bars, or (`inside`) within one.
-- reads `bars`; variable: step (µs). Ids are of missing trades, or of the bar that lacks some; times are starts of bars, µs.
WITH traded AS (
    SELECT
        epoch_us(window_start) AS start,
        first_trade_id AS first_id,
        last_trade_id AS last_id,
        trade_count,
        lag(last_trade_id) OVER (ORDER BY window_start) AS id_before,
        lag(epoch_us(window_start)) OVER (ORDER BY window_start) AS start_before
    FROM bars
    WHERE trade_count > 0
)
SELECT false AS inside, id_before + 1 AS first_id, first_id - 1 AS last_id, start_before AS start, start AS stop
FROM traded
WHERE first_id > id_before + 1
UNION ALL
SELECT true, first_id, last_id, start, start
FROM traded
WHERE last_id - first_id + 1 > trade_count
ORDER BY first_id
