-- One hour of raw lines to bars. One row an interval of `step` µs, from `hour_start` up to `until`.
--
-- reads     raw         the lines of the segments that may hold an event of the hour, once each (schema.RAW_LINE, but the
--                       numbers of quotes are text yet)
-- variables symbol, hour_start, hour_end, until, step            integers are µs since the epoch, UTC
--           offsets     [{minute, offset_us}]  the clock offset of each minute of receipt that the hour may need
--           listened    [{start, stop}]        when somebody was listening, on the exchange's clock, disjoint
--           carry       {close, bid, …}        the last values of the part before; null where there are none
--
-- Sums are decimal and are rounded to double once, at the end: that is what makes a bar equal the exchange's candle.
-- A trade's value fills DECIMAL(38,16), so absurd ones (10^14 and more) are added with eight decimals, in a sum that has
-- room for any number of them, and not with those that a market has.

WITH
-- A quote carries no exchange time (those of ticks were given theirs when they were made). Its time is its receipt minus
-- the smallest (receipt - trade time) among the trades received in the same minute; a minute without trades has the
-- offset of the last one that had some.
offsets AS (
    SELECT unnest($offsets::STRUCT(minute BIGINT, offset_us BIGINT)[], recursive := true)
),
placed AS (
    SELECT
        l.* EXCLUDE (ts_event, ts_recv),
        coalesce(l.ts_event, l.ts_recv - o.offset_us) AS ts,
        CASE WHEN price * qty >= 1e14::DECIMAL(38, 16) THEN 0 ELSE price * qty END AS value,
        CASE WHEN price * qty >= 1e14::DECIMAL(38, 16) THEN (price * qty)::DECIMAL(38, 8) END AS absurd
    FROM raw AS l
    LEFT JOIN offsets AS o ON l.ts_recv // 60000000 * 60000000 = o.minute
),

-- Trades and quotes in one go, so that nothing of the lines has to be kept: what a line lacks is null, and does not count.
happened AS (
    SELECT
        ts // $step * $step AS start,
        arg_min(price, id) AS open,
        max(price) AS high,
        min(price) AS low,
        arg_max(price, id) AS close,
        sum(qty) AS volume_base,
        coalesce((sum(absurd) + sum(value)::DECIMAL(38, 8))::DOUBLE, sum(value)::DOUBLE) AS volume_quote,
        sum(qty) FILTER (side = 'buy') AS taker_buy_base,
        coalesce(
            (sum(absurd) FILTER (side = 'buy') + (sum(value) FILTER (side = 'buy'))::DECIMAL(38, 8))::DOUBLE,
            (sum(value) FILTER (side = 'buy'))::DOUBLE
        ) AS taker_buy_quote,
        -- Counts of what only one stream has: to look at the stream for each would cost a tenth of the whole.
        count(price) AS trade_count,
        count(bid) AS quote_count,
        min(id) FILTER (stream = 'trade') AS first_trade_id,
        max(id) FILTER (stream = 'trade') AS last_trade_id,
        -- The last by time, and by id among those received together. Only these are worth a conversion to numbers.
        arg_max(bid, (ts::HUGEINT << 63) + id) AS bid,
        arg_max(bid_qty, (ts::HUGEINT << 63) + id) AS bid_qty,
        arg_max(ask, (ts::HUGEINT << 63) + id) AS ask,
        arg_max(ask_qty, (ts::HUGEINT << 63) + id) AS ask_qty
    FROM placed
    WHERE ts >= $hour_start AND ts < $hour_end
    GROUP BY start
),
listened AS (
    SELECT unnest($listened::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),

intervals AS (
    SELECT unnest(range($hour_start, $until, $step)) AS start
),
filled AS (
    SELECT
        i.start,
        t.* EXCLUDE (start, open, high, low, close, quote_count, bid, bid_qty, ask, ask_qty),
        t.open::DOUBLE AS open,
        t.high::DOUBLE AS high,
        t.low::DOUBLE AS low,
        coalesce(last_value(t.close::DOUBLE IGNORE NULLS) OVER so_far, $carry.close) AS close,
        coalesce(t.quote_count, 0) AS quote_count,
        last_value(t.bid IGNORE NULLS) OVER so_far AS bid,
        last_value(t.bid_qty IGNORE NULLS) OVER so_far AS bid_qty,
        last_value(t.ask IGNORE NULLS) OVER so_far AS ask,
        last_value(t.ask_qty IGNORE NULLS) OVER so_far AS ask_qty,
        coalesce(l.stop >= i.start + $step, false) AS observed
    FROM intervals AS i
    LEFT JOIN happened AS t USING (start)
    ASOF LEFT JOIN listened AS l ON i.start >= l.start
    WINDOW so_far AS (ORDER BY i.start ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)

SELECT
    $symbol::VARCHAR AS symbol,
    make_timestamptz(start) AS window_start,
    coalesce(open, close) AS open,
    coalesce(high, close) AS high,
    coalesce(low, close) AS low,
    close,
    coalesce(volume_base, 0)::DOUBLE AS volume_base,
    coalesce(volume_quote, 0) AS volume_quote,
    coalesce(taker_buy_base, 0)::DOUBLE AS taker_buy_base,
    coalesce(taker_buy_quote, 0) AS taker_buy_quote,
    -- A quotient of two rounded numbers may leave [low, high] by its last bit.
    CASE WHEN volume_base > 0 THEN greatest(low, least(high, volume_quote / volume_base::DOUBLE)) END AS vwap,
    coalesce(trade_count, 0)::INTEGER AS trade_count,
    quote_count::INTEGER AS quote_count,
    coalesce(bid::DOUBLE, $carry.bid) AS bid,
    coalesce(bid_qty::DOUBLE, $carry.bid_qty) AS bid_qty,
    coalesce(ask::DOUBLE, $carry.ask) AS ask,
    coalesce(ask_qty::DOUBLE, $carry.ask_qty) AS ask_qty,
    coalesce((ask::DECIMAL(18, 8) - bid::DECIMAL(18, 8))::DOUBLE, $carry.spread) AS spread,
    observed,
    first_trade_id,
    last_trade_id
FROM filled
ORDER BY start
