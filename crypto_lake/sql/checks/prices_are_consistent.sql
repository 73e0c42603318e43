-- Bars whose numbers contradict each other. A vwap is a rounded quotient and may leave [low, high] by its last bits.
-- reads `bars`, by subject
SELECT subject, window_start, open, high, low, close, vwap, bid, ask, spread, volume_base, taker_buy_base
FROM bars
WHERE low > least(open, close)
   OR high < greatest(open, close)
   OR vwap < low * (1 - 1e-12)
   OR vwap > high * (1 + 1e-12)
   OR spread < 0
   OR taker_buy_base > volume_base
   OR taker_buy_quote > volume_quote
   OR (trade_count = 0) <> (volume_base = 0)
ORDER BY subject, window_start
