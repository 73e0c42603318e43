-- How many lines of hours have no row in their ticks that says the same, and how many rows no line, or come twice.
--
-- reads     raw         the lines of the segments that may hold an event of an hour, with the `slot` of the hour
--           clock       as tick_quotes.sql
--           trades, quotes     what was made of the hours
-- variables starts      as tick_trades.sql

WITH of_hours AS (
    SELECT slot - 1 AS slot, start
    FROM (SELECT unnest($starts::BIGINT[]) AS start, generate_subscripts($starts::BIGINT[], 1) AS slot)
),
made_trades AS (
    SELECT slot, id, price, qty, side, ts_event
    FROM trades
    JOIN of_hours ON epoch_us(ts_event) // 3600000000 * 3600000000 = start
),
made_quotes AS (
    SELECT slot, id, bid, bid_qty, ask, ask_qty
    FROM quotes
    JOIN of_hours ON epoch_us(ts_event) // 3600000000 * 3600000000 = start
),
raw_trades AS (
    SELECT slot, id, price, qty, side, make_timestamptz(ts_event) AS ts_event
    FROM raw
    WHERE stream = 'trade' AND ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
),
raw_quotes AS (
    SELECT
        raw.slot,
        id,
        bid::DECIMAL(18, 8) AS bid,
        bid_qty::DECIMAL(20, 8) AS bid_qty,
        ask::DECIMAL(18, 8) AS ask,
        ask_qty::DECIMAL(20, 8) AS ask_qty,
        coalesce(ts_event, ts_recv - offset_us) AS ts
    FROM raw
    LEFT JOIN clock ON raw.slot = clock.slot AND ts_recv // 60000000 * 60000000 = minute
    WHERE stream = 'bookTicker'
)
SELECT
    (SELECT count(*) FROM raw_trades ANTI JOIN made_trades USING (slot, id, price, qty, side, ts_event))
    + (SELECT count(*) FROM made_trades ANTI JOIN raw_trades USING (slot, id, price, qty, side, ts_event))
    + (
        SELECT count(*)
        FROM (
            FROM raw_quotes
            WHERE ts // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
        )
        ANTI JOIN made_quotes USING (slot, id, bid, bid_qty, ask, ask_qty)
    )
    + (SELECT count(*) FROM made_quotes ANTI JOIN raw_quotes USING (slot, id, bid, bid_qty, ask, ask_qty))
    + (SELECT count(*) FROM trades) - (SELECT count(DISTINCT (slot, id)) FROM made_trades)
    + (SELECT count(*) FROM quotes) - (SELECT count(DISTINCT (slot, id)) FROM made_quotes) AS differences
