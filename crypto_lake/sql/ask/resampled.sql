-- Bars of any length (µs) over the bars there are. Whole minutes of a day are made of minutes where their files are there,
-- and of seconds elsewhere, which is the same to the last bit; no interval has both, as a day has one or the other.
CREATE OR REPLACE MACRO of_whole_minutes(length) AS TABLE
FROM of_minutes(length) UNION ALL FROM of_lacking(length);
CREATE OR REPLACE MACRO divides_a_day(length) AS length % 60000000 = 0 AND 86400000000 % length = 0;
CREATE OR REPLACE MACRO resampled(length) AS TABLE
FROM of_whole_minutes(length) WHERE divides_a_day(length)
UNION ALL
FROM of_seconds(length) WHERE NOT divides_a_day(length);
