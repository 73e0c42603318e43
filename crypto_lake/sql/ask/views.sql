-- The questions people ask, over `bars_1s` and `candles_1m`, which views.py makes from the files there are.
-- {step} is the length of a bar of bars_1s in µs.

-- Bars of a longer interval (µs). open and close are the first and last by time among the intervals with trades, not by
-- the order in which rows happen to be read. Volumes are added as decimals (exact_sum.sql), so that they stay the
-- exchange's own.
-- `observed` is true where every second of the interval was; that includes that every second is there.
CREATE OR REPLACE MACRO resampled(length) AS TABLE
WITH longer AS (
    SELECT
        symbol,
        make_timestamptz(epoch_us(window_start) // length * length) AS window_start,
        coalesce(arg_min(open, s.window_start) FILTER (trade_count > 0), max(close)) AS open,
        coalesce(max(high) FILTER (trade_count > 0), max(close)) AS high,
        coalesce(min(low) FILTER (trade_count > 0), max(close)) AS low,
        arg_max(close, s.window_start) AS close,
        exact_sum(volume_base) AS volume_base,
        exact_sum(volume_quote) AS volume_quote,
        exact_sum(taker_buy_base) AS taker_buy_base,
        exact_sum(taker_buy_quote) AS taker_buy_quote,
        exact_sum(volume_quote) / nullif(exact_sum(volume_base), 0) AS vwap,
        sum(trade_count)::INTEGER AS trade_count,
        sum(quote_count)::INTEGER AS quote_count,
        arg_max(bid, s.window_start) AS bid,
        arg_max(bid_qty, s.window_start) AS bid_qty,
        arg_max(ask, s.window_start) AS ask,
        arg_max(ask_qty, s.window_start) AS ask_qty,
        arg_max(spread, s.window_start) AS spread,
        bool_and(observed) AND count(*) * {step} = length AS observed,
        min(first_trade_id) AS first_trade_id,
        max(last_trade_id) AS last_trade_id
    FROM bars_1s AS s
    GROUP BY symbol, epoch_us(s.window_start) // length
)
-- A quotient of two rounded sums may leave [low, high] by its last bit.
SELECT * REPLACE (CASE WHEN vwap IS NOT NULL THEN greatest(low, least(high, vwap)) END AS vwap)
FROM longer;

CREATE OR REPLACE VIEW bars_1m AS FROM resampled(60000000);
CREATE OR REPLACE VIEW bars_5m AS FROM resampled(300000000);
CREATE OR REPLACE VIEW bars_1h AS FROM resampled(3600000000);
CREATE OR REPLACE VIEW bars_1d AS FROM resampled(86400000000);
