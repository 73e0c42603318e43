-- Stretches in which somebody listened and no quote came for too long; all stretches without, if trades came and no quote
-- ever. A symbol that hardly trades may be silent for minutes.
-- reads `bars`; variables: max_silence (µs), step (µs)
WITH numbered AS (
    SELECT
        window_start,
        epoch_us(window_start) // $step - row_number() OVER (ORDER BY window_start) AS stretch
    FROM bars
    WHERE observed AND quote_count = 0
),
never AS (
    SELECT coalesce(sum(quote_count), 0) = 0 AND coalesce(sum(trade_count), 0) > 0 AS came FROM bars WHERE observed
)
SELECT
    min(window_start) AS "from",
    make_timestamptz(epoch_us(max(window_start)) + $step) AS "to",
    count(*) * $step // 1000000 AS seconds
FROM numbered
GROUP BY stretch
HAVING count(*) * $step > $max_silence OR (SELECT came FROM never)
ORDER BY seconds DESC, 1
