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
linked AS (
    SELECT
        window_start,
        trade_count,
        observed,
        close,
        first_trade_id,
        last_trade_id::HUGEINT AS last_trade_id,
        coalesce(
            last_value(b.last_trade_id::HUGEINT IGNORE NULLS) OVER (
                ORDER BY window_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            $id_before::BIGINT
        ) AS id_before,
        coalesce(
            first_value(first_trade_id IGNORE NULLS) OVER (
                ORDER BY window_start ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ),
            $id_after::BIGINT
        ) AS id_after
    FROM bars AS b
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
             AND bool_or(NOT observed) OVER (PARTITION BY coalesce(last_trade_id, id_before))
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
            ELSE (
                SELECT string_agg(
                    concat(name, ' ', coalesce(ours, 'null'), ', the exchange''s ', coalesce(theirs, 'null')), '; '
                )
                FROM (VALUES
                    ('open', b.open IS DISTINCT FROM c.open, b.open::VARCHAR, c.open::VARCHAR),
                    ('high', b.high IS DISTINCT FROM c.high, b.high::VARCHAR, c.high::VARCHAR),
                    ('low', b.low IS DISTINCT FROM c.low, b.low::VARCHAR, c.low::VARCHAR),
                    ('close', b.close IS DISTINCT FROM c.close, b.close::VARCHAR, c.close::VARCHAR),
                    ('volume_base', b.volume_base IS DISTINCT FROM c.volume_base, b.volume_base::VARCHAR, c.volume_base::VARCHAR),
                    ('volume_quote', b.volume_quote IS DISTINCT FROM c.volume_quote, b.volume_quote::VARCHAR, c.volume_quote::VARCHAR),
                    ('trade_count', b.trade_count IS DISTINCT FROM c.trade_count, b.trade_count::VARCHAR, c.trade_count::VARCHAR),
                    ('taker_buy_base', $taker_volumes AND b.taker_buy_base IS DISTINCT FROM c.taker_buy_base, b.taker_buy_base::VARCHAR, c.taker_buy_base::VARCHAR),
                    ('taker_buy_quote', $taker_volumes AND b.taker_buy_quote IS DISTINCT FROM c.taker_buy_quote, b.taker_buy_quote::VARCHAR, c.taker_buy_quote::VARCHAR)
                ) AS columns(name, differs, ours, theirs)
                WHERE differs
            )
        END AS difference
    FROM bars_1m AS b
    JOIN doubts AS d ON epoch_us(b.window_start) // 60000000 = d.minute
    LEFT JOIN candles AS c ON b.window_start = c.window_start
)
SELECT minute, difference, reason, candle
FROM compared
WHERE difference IS NOT NULL
ORDER BY minute
