-- The bars of a day with what its proof says of their quotes: a bar of several seconds is proved if all of them are, and
-- filled from the book if its last one is.
-- reads `bars` (in the columns of a bar), `proof`; variables: step (of a bar, µs)
WITH verdicts AS (
    SELECT epoch_us(window_start) // $step * $step AS start, bool_and(verdict = 'proved') AS quotes_proved
    FROM proof
    GROUP BY 1
)
SELECT
    b.* REPLACE (
        coalesce(p.bid::DOUBLE, b.bid) AS bid,
        coalesce(p.bid_qty::DOUBLE, b.bid_qty) AS bid_qty,
        coalesce(p.ask::DOUBLE, b.ask) AS ask,
        coalesce(p.ask_qty::DOUBLE, b.ask_qty) AS ask_qty,
        coalesce((p.ask - p.bid)::DOUBLE, b.spread) AS spread
    ),
    v.quotes_proved,
    CASE WHEN p.bid IS NULL THEN 'received' ELSE 'book' END AS quote_source
FROM bars AS b
JOIN verdicts AS v ON v.start = epoch_us(b.window_start)
JOIN proof AS p ON epoch_us(p.window_start) = epoch_us(b.window_start) + $step - 1000000
ORDER BY b.window_start
