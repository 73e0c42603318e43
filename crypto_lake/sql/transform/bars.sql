-- Hours of raw lines to bars, those of many symbols in one go: a row for each interval of `step` µs in which something
-- happened, in order of slots and of time. What lies between is filled in afterwards (transform/fill.py).
--
-- Each hour of a symbol has a slot, a number from 0, and an element in the lists below. Slots know nothing of each other.
--
-- reads     raw         the lines of the segments that may hold an event of an hour, once each, with the `slot` that they
--                       were read for (schema.RAW_LINE, but the numbers of quotes are text yet)
-- variables step        integers are µs since the epoch, UTC
--           starts      of each slot: the start of its hour
--           clocks      of each slot: by which clock its lines were received
--           offsets     [{clock, minute, offset_us}]  the clock offset of each minute of receipt that an hour may need
--
-- Sums are decimal and are rounded to double once, at the end: that is what makes a bar equal the exchange's candle.
-- A trade's value fills DECIMAL(38,16), so absurd ones (10^14 and more) are added with eight decimals, in a sum that has
-- room for any number of them, and not with those that a market has.

WITH
-- A quote carries no exchange time (those of ticks were given theirs when they were made). Its time is its receipt minus
-- the smallest (receipt - trade time) among the trades received in the same minute; a minute without trades has the
-- offset of the last one that had some.
offsets AS (
    SELECT unnest($offsets::STRUCT(clock BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
placed AS (
    SELECT
        l.* EXCLUDE (ts_event, ts_recv),
        coalesce(l.ts_event, l.ts_recv - o.offset_us) AS ts,
        CASE WHEN price * qty >= 1e14::DECIMAL(38, 16) THEN 0 ELSE price * qty END AS value,
        CASE WHEN price * qty >= 1e14::DECIMAL(38, 16) THEN (price * qty)::DECIMAL(38, 8) END AS absurd
    FROM raw AS l
    -- One number for clock and minute, as below for slot and interval: two would cost a twentieth of the whole.
    LEFT JOIN offsets AS o
        ON ($clocks::BIGINT[])[l.slot + 1] * 4294967296 + l.ts_recv // 60000000 = o.clock * 4294967296 + o.minute // 60000000
),

-- Trades and quotes in one go, so that nothing of the lines has to be kept: what a line lacks is null, and does not count.
happened AS (
    SELECT
        slot * 1099511627776 + ts // $step AS interval,
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
    WHERE ts // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
    GROUP BY interval
)

SELECT
    interval // 1099511627776 AS slot,
    interval % 1099511627776 * $step AS start,
    open::DOUBLE AS open,
    high::DOUBLE AS high,
    low::DOUBLE AS low,
    close::DOUBLE AS close,
    volume_base::DOUBLE AS volume_base,
    volume_quote,
    taker_buy_base::DOUBLE AS taker_buy_base,
    taker_buy_quote,
    -- A quotient of two rounded numbers may leave [low, high] by its last bit.
    CASE
        WHEN volume_base > 0
        THEN greatest(low::DOUBLE, least(high::DOUBLE, volume_quote / volume_base::DOUBLE))
    END AS vwap,
    trade_count::INTEGER AS trade_count,
    quote_count::INTEGER AS quote_count,
    bid::DOUBLE AS bid,
    bid_qty::DOUBLE AS bid_qty,
    ask::DOUBLE AS ask,
    ask_qty::DOUBLE AS ask_qty,
    (ask::DECIMAL(18, 8) - bid::DECIMAL(18, 8))::DOUBLE AS spread,
    first_trade_id,
    last_trade_id
FROM happened
ORDER BY interval
