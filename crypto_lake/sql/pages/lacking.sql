-- What a day of each subject lacks by its own bars: stretches that nobody observed, and trades whose numbers are not there
-- (by the rule of linked.sql).
-- A window without an order goes by that of the rows, and they come as they lie in the files, one subject after the other:
-- nothing is sorted, and this costs what reading the columns does.
-- reads `bars`, by subject and in order of time; variables: most_at_once, most_a_second (how many trades an exchange makes
--              at most)
WITH heard AS (
    SELECT
        subject,
        observed,
        lag(subject) OVER () AS subject_before,
        lag(observed) OVER () AS heard_before
    FROM bars
),
gaps AS (
    SELECT subject, count(*) FILTER (NOT observed AND (subject IS DISTINCT FROM subject_before OR heard_before)) AS gaps
    FROM heard
    GROUP BY subject
),
traded AS (
    SELECT
        subject,
        window_start,
        first_trade_id,
        last_trade_id,
        trade_count,
        lag(subject) OVER () AS subject_before,
        lag(last_trade_id) OVER () AS id_before,
        lag(window_start) OVER () AS start_before
    FROM bars
    WHERE trade_count > 0
),
lacking AS (
    SELECT
        subject,
        last_trade_id::HUGEINT - trade_count
            - CASE WHEN subject = subject_before THEN id_before ELSE first_trade_id - 1 END AS lacking,
        CASE WHEN subject = subject_before THEN epoch(window_start) - epoch(start_before) END AS seconds
    FROM traded
),
missing AS (
    SELECT
        subject,
        sum(lacking) FILTER (lacking BETWEEN 0 AND $most_at_once + $most_a_second * coalesce(seconds, 0)) AS missing
    FROM lacking
    GROUP BY subject
)
SELECT subject, gaps, coalesce(missing, 0)::BIGINT AS trades_missing
FROM gaps
LEFT JOIN missing USING (subject)
ORDER BY subject
