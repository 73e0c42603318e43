-- Bars whose price moved by more than a share of itself: since the close before, or between the bar's own low and high.
-- reads `bars`; variable: max_jump (0.1 is a tenth)
WITH moves AS (
    SELECT
        window_start,
        lag(close) OVER (ORDER BY window_start) AS close_before,
        open,
        high,
        low,
        trade_count
    FROM bars
)
SELECT
    window_start,
    close_before,
    open,
    high,
    low,
    round(greatest(coalesce(abs(open / close_before - 1), 0), high / low - 1), 4) AS jump
FROM moves
WHERE trade_count > 0
  AND (abs(open / close_before - 1) > $max_jump OR high / low - 1 > $max_jump)
ORDER BY window_start
