-- One hour of which there are no raw lines to bars: what `bars.sql` makes of nothing, at a fifth of its price, most of
-- which is planning.
--
-- variables symbol, hour_start, until, step, listened, carry      as in bars.sql

WITH listened AS (
    SELECT unnest($listened::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
intervals AS (
    SELECT unnest(range($hour_start, $until, $step)) AS start
)
SELECT
    $symbol::VARCHAR AS symbol,
    make_timestamptz(i.start) AS window_start,
    $carry.close::DOUBLE AS open,
    $carry.close::DOUBLE AS high,
    $carry.close::DOUBLE AS low,
    $carry.close::DOUBLE AS close,
    0::DOUBLE AS volume_base,
    0::DOUBLE AS volume_quote,
    0::DOUBLE AS taker_buy_base,
    0::DOUBLE AS taker_buy_quote,
    NULL::DOUBLE AS vwap,
    0::INTEGER AS trade_count,
    0::INTEGER AS quote_count,
    $carry.bid::DOUBLE AS bid,
    $carry.bid_qty::DOUBLE AS bid_qty,
    $carry.ask::DOUBLE AS ask,
    $carry.ask_qty::DOUBLE AS ask_qty,
    $carry.spread::DOUBLE AS spread,
    coalesce(l.stop >= i.start + $step, false) AS observed,
    NULL::BIGINT AS first_trade_id,
    NULL::BIGINT AS last_trade_id
FROM intervals AS i
ASOF LEFT JOIN listened AS l ON i.start >= l.start
ORDER BY i.start
