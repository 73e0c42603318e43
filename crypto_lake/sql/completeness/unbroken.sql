-- Whether all the trades of each subject have ids that follow each other, in order of time, and the first and the last of
-- them, at the starts of their bars (µs); a subject without trades has no row.
-- A window without an order goes by that of the rows, and they come as they lie in the files, one subject after the other:
-- nothing is sorted, and this costs what reading four columns does.
-- reads `bars`, by subject
WITH traded AS (
    SELECT
        subject,
        epoch_us(window_start) AS start,
        first_trade_id AS first_id,
        last_trade_id AS last_id,
        trade_count,
        lag(subject) OVER () AS subject_before,
        lag(epoch_us(window_start)) OVER () AS start_before,
        lag(last_trade_id) OVER () AS id_before
    FROM bars
    WHERE trade_count > 0
)
SELECT
    subject,
    bool_and(coalesce(
        last_id::HUGEINT - first_id < trade_count
        AND (
            subject IS DISTINCT FROM subject_before
            OR (start > start_before AND first_id = id_before::HUGEINT + 1)
        ),
        false
    )) AS unbroken,
    arg_min(first_id, start) AS first_id,
    min(start) AS first_start,
    arg_max(last_id, start) AS last_id,
    max(start) AS last_start
FROM traded
GROUP BY subject
