-- How many lines of segments are in no ticks, by the slot of the segment; one of which all are has no row.
--
-- reads     raw         the lines of segments (schema.RAW_LINE), with the `slot` of the segment
--           trades, quotes     the ticks of the day, and of those beside it
WITH missing AS (
    SELECT slot
    FROM (SELECT slot, id, price, qty, side, make_timestamptz(ts_event) AS ts_event FROM raw WHERE stream = 'trade')
    ANTI JOIN trades USING (id, price, qty, side, ts_event)
    UNION ALL
    SELECT slot
    FROM (
        SELECT
            slot,
            id,
            bid::DECIMAL(18, 8) AS bid,
            bid_qty::DECIMAL(20, 8) AS bid_qty,
            ask::DECIMAL(18, 8) AS ask,
            ask_qty::DECIMAL(20, 8) AS ask_qty
        FROM raw
        WHERE stream = 'bookTicker'
    )
    ANTI JOIN quotes USING (id, bid, bid_qty, ask, ask_qty)
)
SELECT slot, count(*) FROM missing GROUP BY slot ORDER BY slot
