-- Lines of hours that several recorders heard, once each. A quote has the time of its receipt by its own recorder's clock,
-- put on the exchange's: of several copies the earliest, and of those the first recorder's. A trade has its own time; of
-- copies that contradict each other the one received first is taken, as in once.sql.
--
-- Which recorders an hour is read from may change with the hour, and each clock has a border of its own. So a quote is of
-- the hour before if a recorder that this one was read from has it there; and one that only others have there, right
-- before the border, is of this one, as its first. Quotes that came after one with a higher id are put before it, as in
-- late.sql: nobody's ids but one recorder's own rise with the order of receipt.
--
-- reads     raw         the lines of segments (schema.RAW_LINE), each with the number of its reading as `slot`
-- variables readings    [{slot, here, before}]  of each reading: its hour's slot, and whether its recorder is one of those
--                       that the hour, and that the one before it, is read from; those of an hour in order of names
--           reading_offsets     [{reading, minute, offset_us}]  the clock offset of each minute of receipt
--           starts      of each slot: the start of its hour
--           margin      how far apart two recorders' times of one quote may be, µs
WITH readings AS (
    SELECT
        unnest($readings::STRUCT(slot BIGINT, here BOOLEAN, before BOOLEAN)[], recursive := true),
        unnest(range(len($readings::STRUCT(slot BIGINT, here BOOLEAN, before BOOLEAN)[]))) AS reading
),
reading_offsets AS (
    SELECT unnest($reading_offsets::STRUCT(reading BIGINT, minute BIGINT, offset_us BIGINT)[], recursive := true)
),
placed AS (
    SELECT
        r.*,
        ($starts::BIGINT[])[r.slot + 1] AS start,
        CASE WHEN l.stream = 'bookTicker' THEN coalesce(l.ts_event, l.ts_recv - o.offset_us) END AS instant,
        l.* EXCLUDE (slot)
    FROM raw AS l
    JOIN readings AS r ON l.slot = r.reading
    LEFT JOIN reading_offsets AS o ON l.slot = o.reading AND l.ts_recv // 60000000 * 60000000 = o.minute
),
copies AS (
    SELECT
        slot,
        stream,
        id,
        any_value(start) AS start,
        min(instant) FILTER (before) AS elsewhere,
        min({
            'instant': instant,
            'reading': CASE WHEN stream = 'bookTicker' THEN reading END,
            'ts_recv': ts_recv,
            'ts_event': ts_event,
            'price': price,
            'qty': qty,
            'side': side,
            'bid': bid,
            'bid_qty': bid_qty,
            'ask': ask,
            'ask_qty': ask_qty
        }) FILTER (stream = 'trade' OR here OR instant < start + $margin) AS line
    FROM placed
    WHERE instant IS NOT NULL OR ts_event // 3600000000 * 3600000000 = start
    GROUP BY slot, stream, id
),
ordered AS (
    SELECT
        * EXCLUDE (line),
        unnest(line),
        min(line.instant) OVER (
            PARTITION BY slot, stream ORDER BY id::HUGEINT RANGE BETWEEN 1 FOLLOWING AND 100000 FOLLOWING
        ) AS above,
        greatest(line.instant, start) AS placed_at
    FROM copies
    WHERE line IS NOT NULL
)
SELECT
    slot,
    stream,
    id,
    ts_recv,
    CASE
        WHEN stream = 'trade' THEN ts_event
        WHEN placed_at - above BETWEEN 1 AND 5000000 THEN greatest(above, placed_at // 3600000000 * 3600000000)
        ELSE placed_at
    END AS ts_event,
    price,
    qty,
    side,
    bid,
    bid_qty,
    ask,
    ask_qty
FROM ordered
WHERE stream = 'trade' OR (instant >= start - $margin AND coalesce(elsewhere >= start, true))
