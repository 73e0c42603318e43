-- The sum of volumes (double, not negative) that were each rounded from a decimal: these decimals, added without loss,
-- rounded once. A double's shortest spelling is the decimal that it was rounded from where that has at most 15 digits; of
-- one with more the double itself has lost the last ones, and its spelling is as near as one can come.
--
-- A spelling is slow to read, so volumes of at most eight decimals, which nearly all are, take a short way, as whole
-- numbers of 10^-8 (`plain`). Those from 10^14 on have no more than three decimals, and are added where sums of any size
-- have room (`absurd`); what is left has up to sixteen decimals (`fine`).
CREATE OR REPLACE MACRO is_plain(volume) AS volume < 2e7 AND round(volume * 1e8) / 1e8 = volume;
CREATE OR REPLACE MACRO plain_sum(volume) AS
    sum(CASE WHEN is_plain(volume) THEN round(volume * 1e8)::BIGINT ELSE 0 END)::DECIMAL(30, 0)
    * 0.00000001::DECIMAL(8, 8);
CREATE OR REPLACE MACRO fine_sum(volume) AS
    sum(CASE WHEN NOT is_plain(volume) AND volume < 1e14 THEN volume::VARCHAR::DECIMAL(38, 16) END);
CREATE OR REPLACE MACRO absurd_sum(volume) AS
    sum(CASE WHEN volume >= 1e14 THEN volume::VARCHAR::DECIMAL(38, 8) END);
CREATE OR REPLACE MACRO exact_sum(volume) AS coalesce(
    (absurd_sum(volume) + plain_sum(volume) + coalesce(fine_sum(volume), 0)::DECIMAL(38, 8))::DOUBLE,
    (fine_sum(volume) + plain_sum(volume)::DECIMAL(38, 16))::DOUBLE,
    plain_sum(volume)::DOUBLE
);
