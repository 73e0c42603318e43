-- Bars whose price moved by more than a share of itself: since the close before, or between the bar's own low and high.
-- reads `bars`, by subject and in order of time; variable: max_jump (0.1 is a tenth)
WITH followed AS (
    SELECT
        subject,
        window_start,
        lag(subject) OVER () AS subject_before,
        lag(close) OVER () AS last_close,
        open,
        high,
        low,
        trade_count
    FROM bars
),
moves AS (
    SELECT *, CASE WHEN subject = subject_before THEN last_close END AS close_before FROM followed
)
SELECT
    subject,
    window_start,
    close_before,
    open,
    high,
    low,
    round(greatest(coalesce(abs(open / close_before - 1), 0), high / low - 1), 4) AS jump
FROM moves
WHERE trade_count > 0
  AND (abs(open / close_before - 1) > $max_jump OR high / low - 1 > $max_jump)
ORDER BY subject, window_start
