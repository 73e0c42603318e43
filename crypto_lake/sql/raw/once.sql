-- The lines of each hour once each and whole, whatever the number of times they were landed: of lines with one id the one
-- that was received first, of those received together the least. Copies differ in ts_recv at most; where an exchange gave
-- one id to two trades, or two recordings disagree, column by column would make a trade that never was. The first, since
-- what was made of it then stays as it is when others come later, and ticks, which keep its receipt, can stand for it.
-- A trade of another hour takes nothing away, or it would matter which segments of that hour happen to be read. A quote
-- has no time of its own before it is placed, by its receipt.
--
-- reads     raw         the lines of segments (schema.RAW_LINE), with the `slot` that they were read for
-- variables starts      of each slot: the start of its hour
SELECT slot, stream, id, unnest(line)
FROM (
    SELECT
        slot,
        stream,
        id,
        min({
            'ts_recv': ts_recv,
            'ts_event': ts_event,
            'price': price,
            'qty': qty,
            'side': side,
            'bid': bid,
            'bid_qty': bid_qty,
            'ask': ask,
            'ask_qty': ask_qty
        }) AS line
    FROM raw
    WHERE stream = 'bookTicker' OR ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
    GROUP BY slot, stream, id
)
