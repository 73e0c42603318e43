-- The questions people ask, over what views.py makes from the files there are: `bars_1s`, `candles_1m`, and `minutes`
-- (finished ones, out of their files). {lacking} is a macro of the bars that have to be made of seconds, {longer} one of
-- bars that are as long as several minutes.
CREATE OR REPLACE VIEW bars_1m AS FROM {minutes} UNION ALL FROM {lacking}(60000000);
CREATE OR REPLACE VIEW bars_5m AS FROM {longer}(300000000);
CREATE OR REPLACE VIEW bars_1h AS FROM {longer}(3600000000);
CREATE OR REPLACE VIEW bars_1d AS FROM {longer}(86400000000);
