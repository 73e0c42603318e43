-- One hour of raw lines to bars. One row an interval of `step` µs, from `hour_start` up to `until`.
--
-- reads     raw         the view of the segments that may hold an event of the hour (see schema.RAW_LINE), and `healed`
-- variables symbol, hour_start, hour_end, until, step            integers are µs since the epoch, UTC
--           offsets     [{minute, offset_us}]  the clock offset by minute of receipt, as the collector measured it
--           offset_before                      the last one known before these segments, or null
--           listened    [{start, stop}]        when somebody was listening, on the exchange's clock, disjoint
--           carry       {close, bid, …}        the last values of the part before; null where there are none
--
-- Sums are decimal and are rounded to double once, at the end: that is what makes a bar equal the exchange's candle.

WITH
-- Parsed once, though looked at three times.
lines AS MATERIALIZED (FROM raw),

-- A quote carries no exchange time. Its time is its receipt minus the smallest (receipt - trade time) among the
-- trades received in the same minute; a minute without trades has the offset of the last one that had some.
journalled AS (
    SELECT unnest(getvariable('offsets')::STRUCT(minute BIGINT, offset_us BIGINT)[], recursive := true)
),
measured AS (
    SELECT ts_recv // 60000000 * 60000000 AS minute, min(ts_recv - ts_event) AS offset_us
    FROM lines
    WHERE stream = 'trade' AND NOT healed
    GROUP BY minute
),
known_offsets AS (
    SELECT minute, coalesce(journalled.offset_us, measured.offset_us) AS offset_us
    FROM measured FULL JOIN journalled USING (minute)
),
offsets AS (
    FROM known_offsets
    UNION ALL
    SELECT
        -1 AS minute,
        coalesce(
            getvariable('offset_before')::BIGINT,
            (SELECT arg_min(offset_us, minute) FROM known_offsets),
            0
        ) AS offset_us
),

-- Once each, whatever the number of times it was received. Copies differ in ts_recv at most.
trades AS (
    SELECT
        id,
        min(ts_event) AS ts,
        min(price) AS price,
        min(qty) AS qty,
        min(side) = 'buy' AS taker_buys
    FROM lines
    WHERE stream = 'trade'
      AND ts_event >= getvariable('hour_start')
      AND ts_event < getvariable('hour_end')
    GROUP BY id
),
received_quotes AS (
    SELECT
        id,
        min(ts_recv) AS ts_recv,
        min(bid) AS bid,
        min(bid_qty) AS bid_qty,
        min(ask) AS ask,
        min(ask_qty) AS ask_qty
    FROM lines
    WHERE stream = 'bookTicker'
    GROUP BY id
),
minutes AS (
    SELECT m.minute, o.offset_us
    FROM (SELECT DISTINCT ts_recv // 60000000 * 60000000 AS minute FROM received_quotes) AS m
    ASOF JOIN offsets AS o ON m.minute >= o.minute
),
quotes AS (
    SELECT q.id, q.ts_recv - m.offset_us AS ts, q.bid, q.bid_qty, q.ask, q.ask_qty
    FROM received_quotes AS q
    JOIN minutes AS m ON q.ts_recv // 60000000 * 60000000 = m.minute
    WHERE q.ts_recv - m.offset_us >= getvariable('hour_start')
      AND q.ts_recv - m.offset_us < getvariable('hour_end')
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
        arg_max({'bid': bid, 'bid_qty': bid_qty, 'ask': ask, 'ask_qty': ask_qty}, {'ts': ts, 'id': id}) AS last
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
        t.*  EXCLUDE (start, open, high, low, close),
        t.open::DOUBLE AS open,
        t.high::DOUBLE AS high,
        t.low::DOUBLE AS low,
        coalesce(last_value(t.close::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').close) AS close,
        coalesce(q.quote_count, 0) AS quote_count,
        coalesce(last_value(q.last.bid::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').bid) AS bid,
        coalesce(last_value(q.last.bid_qty::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').bid_qty) AS bid_qty,
        coalesce(last_value(q.last.ask::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').ask) AS ask,
        coalesce(last_value(q.last.ask_qty::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').ask_qty) AS ask_qty,
        coalesce(
            last_value((q.last.ask - q.last.bid)::DOUBLE IGNORE NULLS) OVER so_far, getvariable('carry').spread
        ) AS spread,
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
    bid,
    bid_qty,
    ask,
    ask_qty,
    spread,
    observed,
    first_trade_id,
    last_trade_id
FROM filled
ORDER BY start
