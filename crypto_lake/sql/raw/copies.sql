-- What `once.sql` brings, at two thirds of its price, where all copies of a line say the same but for their receipt; else
-- an error. Lines that contradict each other under one id are rare, and to tell which was first all must be kept whole.
--
-- reads     raw         as once.sql
-- variables starts      as once.sql
SELECT
    slot,
    stream,
    id,
    min(ts_recv) AS ts_recv,
    min(ts_event) AS ts_event,
    min(price) AS price,
    min(qty) AS qty,
    min(side) AS side,
    min(bid) AS bid,
    min(bid_qty) AS bid_qty,
    min(ask) AS ask,
    min(ask_qty) AS ask_qty
FROM raw
WHERE stream = 'bookTicker' OR ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
GROUP BY slot, stream, id
HAVING
    CASE
        WHEN min(ts_event) <> max(ts_event)
            OR min(price) <> max(price)
            OR min(qty) <> max(qty)
            OR min(side) <> max(side)
            OR min(bid) <> max(bid)
            OR min(bid_qty) <> max(bid_qty)
            OR min(ask) <> max(ask)
            OR min(ask_qty) <> max(ask_qty)
        THEN error('lines of one id contradict each other')
        ELSE true
    END
