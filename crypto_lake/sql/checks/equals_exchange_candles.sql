-- Minutes of ours that differ from the exchange's candle of the same minute in one of nine columns, to the last bit.
-- `reason` says why a trade of such a minute may be missing here; without one the minute is complete, and wrong.
-- A minute without a candle in which nothing was traded is one in which the exchange was halted, and not told.
-- reads `bars`, `bars_1m` (the same by minute), `candles` (the exchange's)
-- variables: contiguous (whether a missing trade id is a missing trade), taker_volumes (whether the candles tell them),
--            step (µs), holes ([{start, stop}] in which trades are known to be missing, µs),
--            id_before, id_after (the last trade id of an earlier day, the first of a later one, or null)
WITH holes AS (
    SELECT unnest($holes::STRUCT(start BIGINT, stop BIGINT)[], recursive := true)
),
-- `place` counts the bars with trades up to this one.
placed AS (
    SELECT
        window_start,
        trade_count,
        observed,
        close,
        first_trade_id,
        last_trade_id::HUGEINT AS last_trade_id,
        count(b.last_trade_id) OVER (ORDER BY window_start ROWS UNBOUNDED PRECEDING) AS place
    FROM bars AS b
),
-- The ids around each bar with trades and, at place 0, around those before any. (IGNORE NULLS over all bars would take
-- many times as long.)
traded AS (
    SELECT
        place,
        last_trade_id,
        lag(last_trade_id, 1, $id_before::BIGINT) OVER (ORDER BY place) AS id_before,
        lead(first_trade_id, 1, $id_after::BIGINT) OVER (ORDER BY place) AS id_after
    FROM placed
    WHERE last_trade_id IS NOT NULL
    UNION ALL
    SELECT 0, $id_before::BIGINT, NULL, coalesce(min(first_trade_id) FILTER (place = 1), $id_after::BIGINT)
    FROM placed
    WHERE last_trade_id IS NOT NULL
),
linked AS (
    SELECT
        p.*,
        CASE WHEN p.last_trade_id IS NULL THEN t.last_trade_id ELSE t.id_before END AS id_before,
        t.id_after
    FROM placed AS p
    JOIN traded AS t ON p.place = t.place
),
-- Two trades whose ids follow each other prove the time between them complete, whoever listened. Where there is no trade
-- on one side, listening is all the proof there is, and it must be whole since the last trade.
doubted AS (
    SELECT
        window_start,
        CASE
            WHEN close IS NULL
            THEN 'no trade is known before'
            WHEN NOT $contiguous
            THEN CASE WHEN observed THEN 'no trade ids prove it complete' ELSE 'nobody was listening' END
            WHEN last_trade_id - first_trade_id + 1 <> trade_count
              OR first_trade_id <> id_before + 1
              OR EXISTS (
                  SELECT 1 FROM holes
                  WHERE start < epoch_us(window_start) + $step AND stop > epoch_us(window_start)
              )
              OR id_after <> coalesce(last_trade_id, id_before) + 1
            THEN 'trade ids are missing'
            WHEN (id_before IS NULL OR id_after IS NULL)
             AND bool_or(NOT observed) OVER (PARTITION BY place)
            THEN 'nobody was listening, and no trade ids prove it complete'
        END AS reason
    FROM linked
),
doubts AS (
    SELECT
        epoch_us(window_start) // 60000000 AS minute,
        coalesce(
            max(reason), CASE WHEN count(*) * $step <> 60000000 THEN 'bars are missing or doubled' END
        ) AS reason
    FROM doubted
    GROUP BY minute
),
compared AS (
    SELECT
        b.window_start AS minute,
        d.reason,
        c.window_start IS NOT NULL AS candle,
        CASE
            WHEN c.window_start IS NULL
            THEN CASE WHEN b.trade_count > 0 THEN concat(b.trade_count, ' trades, the exchange has no candle') END
            ELSE nullif(array_to_string([
                concat(d.name, ' ', coalesce(d.ours, 'null'), ', the exchange''s ', coalesce(d.theirs, 'null')) FOR d IN [
                    {'name': 'open', 'ours': b.open::VARCHAR, 'theirs': c.open::VARCHAR, 'differs': b.open IS DISTINCT FROM c.open},
                    {'name': 'high', 'ours': b.high::VARCHAR, 'theirs': c.high::VARCHAR, 'differs': b.high IS DISTINCT FROM c.high},
                    {'name': 'low', 'ours': b.low::VARCHAR, 'theirs': c.low::VARCHAR, 'differs': b.low IS DISTINCT FROM c.low},
                    {'name': 'close', 'ours': b.close::VARCHAR, 'theirs': c.close::VARCHAR, 'differs': b.close IS DISTINCT FROM c.close},
                    {'name': 'volume_base', 'ours': b.volume_base::VARCHAR, 'theirs': c.volume_base::VARCHAR, 'differs': b.volume_base IS DISTINCT FROM c.volume_base},
                    {'name': 'volume_quote', 'ours': b.volume_quote::VARCHAR, 'theirs': c.volume_quote::VARCHAR, 'differs': b.volume_quote IS DISTINCT FROM c.volume_quote},
                    {'name': 'trade_count', 'ours': b.trade_count::VARCHAR, 'theirs': c.trade_count::VARCHAR, 'differs': b.trade_count IS DISTINCT FROM c.trade_count},
                    {'name': 'taker_buy_base', 'ours': b.taker_buy_base::VARCHAR, 'theirs': c.taker_buy_base::VARCHAR, 'differs': $taker_volumes AND b.taker_buy_base IS DISTINCT FROM c.taker_buy_base},
                    {'name': 'taker_buy_quote', 'ours': b.taker_buy_quote::VARCHAR, 'theirs': c.taker_buy_quote::VARCHAR, 'differs': $taker_volumes AND b.taker_buy_quote IS DISTINCT FROM c.taker_buy_quote}
                ] IF d.differs
            ], '; '), '')
        END AS difference
    FROM bars_1m AS b
    JOIN doubts AS d ON epoch_us(b.window_start) // 60000000 = d.minute
    LEFT JOIN candles AS c ON b.window_start = c.window_start
)
SELECT minute, difference, reason, candle
FROM compared
WHERE difference IS NOT NULL
ORDER BY minute
