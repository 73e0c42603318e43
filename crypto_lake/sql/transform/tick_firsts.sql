-- Of the lines of each hour with one id the one received first: what raw/once.sql brings, said in another way, to see
-- whether that was right.
--
-- reads     raw         the lines of segments (schema.RAW_LINE), with the `slot` that they were read for
-- variables starts      as tick_trades.sql
FROM raw
WHERE stream = 'bookTicker' OR ts_event // 3600000000 * 3600000000 = ($starts::BIGINT[])[slot + 1]
QUALIFY row_number() OVER (
    PARTITION BY slot, stream, id ORDER BY ts_recv, ts_event, price, qty, side, bid, bid_qty, ask, ask_qty
) = 1
