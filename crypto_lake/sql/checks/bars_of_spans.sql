-- How many bars of each subject begin an interval of its span.
-- reads `bars`; variables: starts, untils (of the span of each subject, µs), step (µs)
SELECT subject, count(*) AS bars
FROM (
    SELECT
        subject,
        epoch_us(window_start) AS us,
        list_extract($starts::BIGINT[], subject + 1) AS start,
        list_extract($untils::BIGINT[], subject + 1) AS until
    FROM bars
)
WHERE us >= start AND us < until AND (us - start) % $step = 0
GROUP BY subject
