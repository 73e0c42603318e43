-- Bars of a longer interval (µs): the one rule, for the views and for the files of minutes (transform/minutes.py).
-- {macro} is the name it gets, {bars} the table that it reads, {step} the length of that table's bars in µs, {start} the
-- start of the interval that a bar `s` of them belongs to, {proof} the columns that say what proves their quotes.
--
-- open and close are the first and last by time among the intervals with trades, not by the order in which rows happen to
-- be read. Volumes are added as decimals (exact_sum.sql), so that they stay the exchange's own. `observed` is true where
-- every bar of the interval was; that includes that every bar is there.
CREATE OR REPLACE MACRO {macro}(length) AS TABLE
-- A quotient of two rounded sums may leave [low, high] by its last bit.
-- (No WITH: DuckDB 1.4 does not find its table where one macro stands in another.)
-- (It is of the sums, and not in their query: to plan these a second time would cost a quarter of the whole.)
SELECT * REPLACE (
    CASE WHEN volume_base > 0 THEN greatest(low, least(high, volume_quote / volume_base)) END AS vwap
)
FROM (
    SELECT
        symbol,
        {start} AS window_start,
        coalesce(arg_min(open, s.window_start) FILTER (trade_count > 0), max(close)) AS open,
        coalesce(max(high) FILTER (trade_count > 0), max(close)) AS high,
        coalesce(min(low) FILTER (trade_count > 0), max(close)) AS low,
        arg_max(close, s.window_start) AS close,
        exact_sum(volume_base) AS volume_base,
        exact_sum(volume_quote) AS volume_quote,
        exact_sum(taker_buy_base) AS taker_buy_base,
        exact_sum(taker_buy_quote) AS taker_buy_quote,
        NULL::DOUBLE AS vwap,
        sum(trade_count)::INTEGER AS trade_count,
        sum(quote_count)::INTEGER AS quote_count,
        arg_max(bid, s.window_start) AS bid,
        arg_max(bid_qty, s.window_start) AS bid_qty,
        arg_max(ask, s.window_start) AS ask,
        arg_max(ask_qty, s.window_start) AS ask_qty,
        arg_max(spread, s.window_start) AS spread,
        bool_and(observed) AND count(*) * {step} = length AS observed,
        min(first_trade_id) AS first_trade_id,
        max(last_trade_id) AS last_trade_id,
        {proof}
    FROM {bars} AS s
    GROUP BY symbol, {start}
) AS longer
