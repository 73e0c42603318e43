-- A symbol's day as a picture sees it: columns of equal length, at most `columns` of them, from the first interval that
-- was observed to the last there is.
-- reads `bars`; variables: columns, step (the length of a bar, µs)
WITH
day AS (SELECT *, epoch_us(window_start) AS us FROM bars),
span AS (
    SELECT
        coalesce(min(us) FILTER (observed), min(us)) AS first_us,
        max(us) + $step AS last_us,
        (last_us - first_us + $columns::BIGINT * $step - 1) // ($columns::BIGINT * $step) * $step AS width
    FROM day
)
SELECT
    (us - first_us) // width AS place,
    any_value(first_us) AS begin_us,
    any_value(last_us) AS until_us,
    min(low) AS low,
    max(high) AS high,
    arg_max(close, us) AS close,
    sum(volume_quote) AS volume,
    count(*) FILTER (NOT observed) / count(*) AS missed
FROM day, span
WHERE us >= first_us
GROUP BY place
ORDER BY place
