-- One series of minutes: our own bar where the minute was observed whole (`source` live), else the exchange's candle
-- (backfill). A minute that has neither is not in it, so every row is a whole minute, and no minute is there twice.
CREATE OR REPLACE VIEW history_1m AS
FROM (
    SELECT * EXCLUDE (quotes_proved, quote_source), 'live' AS source FROM bars_1m WHERE observed
    UNION ALL
    SELECT *, 'backfill' AS source FROM candles_1m
)
QUALIFY row_number() OVER (PARTITION BY symbol, window_start ORDER BY source = 'live' DESC) = 1;
