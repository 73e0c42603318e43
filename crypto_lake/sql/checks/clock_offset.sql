-- Minutes in which the collector's clock, against the exchange's trade times, was off by more than `max_offset`, or away
-- from the day's median by more than `max_drift`: it drifted, or was set. The way here counts as offset, but is short.
-- variables: offsets ([{minute, offset_us}], by minute of the collector's clock), max_offset, max_drift (µs)
WITH offsets AS (
    SELECT unnest($offsets::STRUCT(minute BIGINT, offset_us BIGINT)[], recursive := true)
),
drifted AS (
    SELECT minute, offset_us, offset_us - (SELECT median(offset_us) FROM offsets) AS drift_us FROM offsets
)
SELECT make_timestamptz(minute) AS minute, offset_us / 1e6 AS offset_sec, drift_us / 1e6 AS drift_sec
FROM drifted
WHERE abs(offset_us) > $max_offset OR abs(drift_us) > $max_drift
ORDER BY minute
