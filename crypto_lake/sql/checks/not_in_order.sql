-- The subjects whose bars do not lie in their files in order of time, each instant once.
-- A window without an order goes by that of the rows, and they come as they lie in the files, one subject after the other:
-- nothing is sorted, and this costs what reading them does.
-- reads `bars`, by subject
SELECT DISTINCT subject
FROM (
    SELECT
        subject,
        window_start,
        lag(subject) OVER () AS subject_before,
        lag(window_start) OVER () AS before
    FROM bars
)
WHERE window_start IS NULL OR (subject = subject_before AND window_start <= before)
