-- A day's trades and changes of the best bid and ask as the events of a back-tester that takes each at two times: at the
-- exchange, and where it was recorded. Rows of either kind are in the order of their own time, as a reader passes over
-- those that are not of its kind. Where both orders agree an event is one row, else two.
-- Of a quote nothing is known but the best level of each side, so the level before goes when another takes its place.
-- reads `trades`, `quotes`, `healed` (ids of the trades that were fetched later)
-- variables: trade, depth, buy, sell, exch, local (bits of `ev`), latency_us (what a trade that was fetched later is
--            taken to have been on its way), shift_us (what is added to each local time)
WITH quoted AS (
    SELECT
        *,
        lag(bid) OVER (ORDER BY id) AS bid_before,
        lag(bid_qty) OVER (ORDER BY id) AS bid_qty_before,
        lag(ask) OVER (ORDER BY id) AS ask_before,
        lag(ask_qty) OVER (ORDER BY id) AS ask_qty_before
    FROM quotes
),
events AS (
    -- At one time the trade first: the change of the book that it made is in the quote.
    SELECT
        CASE side WHEN 'buy' THEN $trade | $buy ELSE $trade | $sell END AS ev,
        epoch_us(ts_event) AS exch_us,
        CASE WHEN id IN (SELECT id FROM healed) THEN epoch_us(ts_event) + $latency_us ELSE epoch_us(ts_recv) END
            AS recv_us,
        price AS px,
        qty,
        0 AS kind,
        id,
        0 AS step
    FROM trades
    UNION ALL
    SELECT $depth | $buy, epoch_us(ts_event), epoch_us(ts_recv), bid_before, 0, 1, id, 0 FROM quoted WHERE bid_before <> bid
    UNION ALL
    SELECT $depth | $sell, epoch_us(ts_event), epoch_us(ts_recv), ask_before, 0, 1, id, 0 FROM quoted WHERE ask_before <> ask
    UNION ALL
    SELECT $depth | $buy, epoch_us(ts_event), epoch_us(ts_recv), bid, bid_qty, 1, id, 1
    FROM quoted WHERE (bid, bid_qty) IS DISTINCT FROM (bid_before, bid_qty_before)
    UNION ALL
    SELECT $depth | $sell, epoch_us(ts_event), epoch_us(ts_recv), ask, ask_qty, 1, id, 1
    FROM quoted WHERE (ask, ask_qty) IS DISTINCT FROM (ask_before, ask_qty_before)
),
placed AS (
    SELECT
        *,
        row_number() OVER local_order AS number,
        exch_us >= coalesce(max(exch_us) OVER (local_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), exch_us)
            AS is_one
    FROM events
    WINDOW local_order AS (ORDER BY recv_us, kind, id, step, ev)
),
following AS (
    -- Of an event that another overtook, the exchange's row stands before the first later one of the exchange's.
    SELECT late.* EXCLUDE (number), coalesce(later.number, 9223372036854775807) AS number
    FROM (SELECT * FROM placed WHERE NOT is_one) AS late
    ASOF LEFT JOIN (SELECT exch_us, min(number) AS number FROM placed WHERE is_one GROUP BY exch_us) AS later
      ON late.exch_us < later.exch_us
),
rows AS (
    SELECT ev | $local | CASE WHEN is_one THEN $exch ELSE 0 END AS ev, exch_us, recv_us, px, qty, number, 1 AS turn, 0 AS instant, kind, id, step
    FROM placed
    UNION ALL
    SELECT ev | $exch, exch_us, recv_us, px, qty, number, 0, exch_us, kind, id, step FROM following
)
SELECT
    ev::UBIGINT AS ev,
    exch_us * 1000 AS exch_ts,
    (recv_us + $shift_us) * 1000 AS local_ts,
    px::DOUBLE AS px,
    qty::DOUBLE AS qty
FROM rows
ORDER BY number, turn, instant, kind, id, step, ev
