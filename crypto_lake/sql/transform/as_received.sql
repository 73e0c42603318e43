-- The bars of a day as they were before its proof filled any from the book: those have the last quote that came, by time
-- and then by id, as bars.sql has it, or what the day began with.
-- reads `bars` (with what proves their quotes), `quotes` (of the day); variables: step (of a bar, µs), bid, bid_qty, ask,
--           ask_qty, spread (what the day began with)
WITH came AS (
    SELECT
        epoch_us(ts_event) // $step * $step AS start,
        arg_max(bid, (epoch_us(ts_event)::HUGEINT << 63) + id) AS bid,
        arg_max(bid_qty, (epoch_us(ts_event)::HUGEINT << 63) + id) AS bid_qty,
        arg_max(ask, (epoch_us(ts_event)::HUGEINT << 63) + id) AS ask,
        arg_max(ask_qty, (epoch_us(ts_event)::HUGEINT << 63) + id) AS ask_qty
    FROM quotes
    GROUP BY 1
)
SELECT
    b.* EXCLUDE (quotes_proved, quote_source) REPLACE (
        CASE WHEN quote_source = 'book' THEN coalesce(q.bid::DOUBLE, $bid::DOUBLE) ELSE b.bid END AS bid,
        CASE WHEN quote_source = 'book' THEN coalesce(q.bid_qty::DOUBLE, $bid_qty::DOUBLE) ELSE b.bid_qty END AS bid_qty,
        CASE WHEN quote_source = 'book' THEN coalesce(q.ask::DOUBLE, $ask::DOUBLE) ELSE b.ask END AS ask,
        CASE WHEN quote_source = 'book' THEN coalesce(q.ask_qty::DOUBLE, $ask_qty::DOUBLE) ELSE b.ask_qty END AS ask_qty,
        CASE
            WHEN quote_source = 'book' THEN coalesce((q.ask - q.bid)::DOUBLE, $spread::DOUBLE)
            ELSE b.spread
        END AS spread
    )
FROM bars AS b
ASOF LEFT JOIN came AS q ON q.start <= epoch_us(b.window_start)
ORDER BY b.window_start
