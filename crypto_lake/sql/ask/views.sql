-- The questions people ask, over `bars_1s` and `candles_1m`, which views.py makes from the files there are. What a longer
-- bar is, `resampled` says (longer.sql).
CREATE OR REPLACE VIEW bars_1m AS FROM resampled(60000000);
CREATE OR REPLACE VIEW bars_5m AS FROM resampled(300000000);
CREATE OR REPLACE VIEW bars_1h AS FROM resampled(3600000000);
CREATE OR REPLACE VIEW bars_1d AS FROM resampled(86400000000);
