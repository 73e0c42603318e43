-- Bars inside of which trade ids are missing. Which, only the raw lines know.
-- reads `bars`
SELECT epoch_us(window_start) AS second
FROM bars
WHERE last_trade_id - first_trade_id + 1 <> trade_count
ORDER BY second
