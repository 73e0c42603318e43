-- How many of an hour's lines have no row in its ticks that says the same, and how many rows no line, or come twice.
--
-- reads     raw               the lines of the segments that may hold an event of the hour
--           hour_trades, hour_quotes    what was written of the hour
-- variables hour_start, hour_end, offsets    as in tick_quotes.sql

WITH offsets AS (
    SELECT unnest($offsets::STRUCT(clock BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
raw_trades AS (
    SELECT id, price, qty, side, make_timestamptz(ts_event) AS ts_event
    FROM raw
    WHERE stream = 'trade' AND ts_event >= $hour_start AND ts_event < $hour_end
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY ts_recv, ts_event, price, qty, side) = 1
),
raw_quotes AS (
    SELECT
        id,
        bid::DECIMAL(18, 8) AS bid,
        bid_qty::DECIMAL(20, 8) AS bid_qty,
        ask::DECIMAL(18, 8) AS ask,
        ask_qty::DECIMAL(20, 8) AS ask_qty,
        coalesce(ts_event, ts_recv - offset_us) AS ts
    FROM raw
    LEFT JOIN offsets ON ts_recv // 60000000 * 60000000 = minute
    WHERE stream = 'bookTicker'
    -- The one received first, as in once.sql; said in another way, since this looks whether that was right.
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY ts_recv, ts_event, raw.bid, raw.bid_qty, raw.ask, raw.ask_qty) = 1
)
SELECT
    (SELECT count(*) FROM raw_trades ANTI JOIN hour_trades USING (id, price, qty, side, ts_event))
    + (SELECT count(*) FROM hour_trades ANTI JOIN raw_trades USING (id, price, qty, side, ts_event))
    + (
        SELECT count(*)
        FROM (
            FROM raw_quotes
            WHERE ts >= $hour_start AND ts < $hour_end
        )
        ANTI JOIN hour_quotes USING (id, bid, bid_qty, ask, ask_qty)
    )
    + (SELECT count(*) FROM hour_quotes ANTI JOIN raw_quotes USING (id, bid, bid_qty, ask, ask_qty))
    + (SELECT count(*) - count(DISTINCT id) FROM hour_trades)
    + (SELECT count(*) - count(DISTINCT id) FROM hour_quotes) AS differences
