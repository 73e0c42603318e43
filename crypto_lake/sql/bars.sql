-- One hour of raw lines to bars. One row an interval of `step` µs, from `hour_start` up to `until`.
--
-- reads     raw         the lines of the segments that may hold an event of the hour (schema.RAW_LINE, but the numbers of
--                       quotes are text yet); put in its place
-- variables symbol, hour_start, hour_end, until, step            integers are µs since the epoch, UTC
--           offsets     [{minute, offset_us}]  the clock offset of each minute of receipt that the hour may need
--           listened    [{start, stop}]        when somebody was listening, on the exchange's clock, disjoint
--           carry       {close, bid, …}        the last values of the part before; null where there are none
--           deduplicate                        whether a line may have been landed more than once
--
-- Sums are decimal and are rounded to double once, at the end: that is what makes a bar equal the exchange's candle.

WITH
-- Parsed once, though looked at twice. A trade has a price, a quote has none.
lines AS MATERIALIZED (
    SELECT ts_event, ts_recv, id, price, qty, side, bid, bid_qty, ask, ask_qty FROM raw
),

-- Once each, whatever the number of times it was landed. Copies differ in ts_recv at most. Of the two halves of each
-- union the plan holds only one.
trades AS (
    SELECT id, ts_event AS ts, price, qty, side = 'buy' AS taker_buys
    FROM lines
    WHERE price IS NOT NULL AND NOT getvariable('deduplicate')
      AND ts_event >= getvariable('hour_start')
      AND ts_event < getvariable('hour_end')
    UNION ALL
    SELECT id, min(ts_event) AS ts, min(price) AS price, min(qty) AS qty, min(side) = 'buy' AS taker_buys
    FROM lines
    WHERE price IS NOT NULL AND getvariable('deduplicate')
      AND ts_event >= getvariable('hour_start')
      AND ts_event < getvariable('hour_end')
    GROUP BY id
),
received_quotes AS (
    SELECT id, ts_event, ts_recv, bid, bid_qty, ask, ask_qty
    FROM lines
    WHERE price IS NULL AND NOT getvariable('deduplicate')
    UNION ALL
    SELECT
        id,
        min(ts_event) AS ts_event,
        min(ts_recv) AS ts_recv,
        min(bid) AS bid,
        min(bid_qty) AS bid_qty,
        min(ask) AS ask,
        min(ask_qty) AS ask_qty
    FROM lines
    WHERE price IS NULL AND getvariable('deduplicate')
    GROUP BY id
),

-- A quote carries no exchange time (those of ticks were given theirs when they were made). Its time is its receipt minus
-- the smallest (receipt - trade time) among the trades received in the same minute; a minute without trades has the
-- offset of the last one that had some.
offsets AS (
    SELECT unnest(getvariable('offsets')::STRUCT(minute BIGINT, offset_us BIGINT)[], recursive := true)
),
quotes AS (
    SELECT q.id, coalesce(q.ts_event, q.ts_recv - o.offset_us) AS ts, q.bid, q.bid_qty, q.ask, q.ask_qty
    FROM received_quotes AS q
    LEFT JOIN offsets AS o ON q.ts_recv // 60000000 * 60000000 = o.minute
    WHERE coalesce(q.ts_event, q.ts_recv - o.offset_us) >= getvariable('hour_start')
      AND coalesce(q.ts_event, q.ts_recv - o.offset_us) < getvariable('hour_end')
),

traded AS (
    SELECT
        ts // getvariable('step') * getvariable('step') AS start,
        arg_min(price, id) AS open,
        max(price) AS high,
        min(price) AS low,
        arg_max(price, id) AS close,
        sum(qty) AS volume_base,
        sum(price * qty) AS volume_quote,
        sum(qty) FILTER (taker_buys) AS taker_buy_base,
        sum(price * qty) FILTER (taker_buys) AS taker_buy_quote,
        count(*) AS trade_count,
        min(id) AS first_trade_id,
        max(id) AS last_trade_id
    FROM trades
    GROUP BY start
),
quoted AS (
    SELECT
        ts // getvariable('step') * getvariable('step') AS start,
        count(*) AS quote_count,
        -- The last by time, and by id among those received together. Only that one's numbers are worth a conversion.
        arg_max({'bid': bid, 'bid_qty': bid_qty, 'ask': ask, 'ask_qty': ask_qty}, (ts::HUGEINT << 63) + id) AS last
    FROM quotes
    GROUP BY start
),
listened AS (
    SELECT unnest(getvariable('listened')::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),

intervals AS (
    SELECT unnest(range(getvariable('hour_start'), getvariable('until'), getvariable('step'))) AS start
),
filled AS (
    SELECT
        i.start,
        t.* EXCLUDE (start, open, high, low, close),
        t.open::DOUBLE AS open,
        t.high::DOUBLE AS high,
        t.low::DOUBLE AS low,
        coalesce(last_value(t.close::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').close) AS close,
        coalesce(q.quote_count, 0) AS quote_count,
        last_value(q.last IGNORE NULLS) OVER so_far AS quote,
        coalesce(l.stop >= i.start + getvariable('step'), false) AS observed
    FROM intervals AS i
    LEFT JOIN traded AS t USING (start)
    LEFT JOIN quoted AS q USING (start)
    ASOF LEFT JOIN listened AS l ON i.start >= l.start
    WINDOW so_far AS (ORDER BY i.start ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)

SELECT
    getvariable('symbol')::VARCHAR AS symbol,
    make_timestamptz(start) AS window_start,
    coalesce(open, close) AS open,
    coalesce(high, close) AS high,
    coalesce(low, close) AS low,
    close,
    coalesce(volume_base, 0)::DOUBLE AS volume_base,
    coalesce(volume_quote, 0)::DOUBLE AS volume_quote,
    coalesce(taker_buy_base, 0)::DOUBLE AS taker_buy_base,
    coalesce(taker_buy_quote, 0)::DOUBLE AS taker_buy_quote,
    volume_quote::DOUBLE / volume_base::DOUBLE AS vwap,
    coalesce(trade_count, 0)::INTEGER AS trade_count,
    quote_count::INTEGER AS quote_count,
    coalesce(quote.bid::DOUBLE, getvariable('carry').bid) AS bid,
    coalesce(quote.bid_qty::DOUBLE, getvariable('carry').bid_qty) AS bid_qty,
    coalesce(quote.ask::DOUBLE, getvariable('carry').ask) AS ask,
    coalesce(quote.ask_qty::DOUBLE, getvariable('carry').ask_qty) AS ask_qty,
    coalesce(
        (quote.ask::DECIMAL(18, 8) - quote.bid::DECIMAL(18, 8))::DOUBLE, getvariable('carry').spread
    ) AS spread,
    observed,
    first_trade_id,
    last_trade_id
FROM filled
ORDER BY start
