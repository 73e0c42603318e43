-- What a symbol's day lacks by its own bars: stretches that nobody observed, and trades whose numbers are not there.
SELECT
    count(*) FILTER (NOT observed AND heard_before) AS gaps,
    coalesce(max(last_trade_id) - min(first_trade_id) + 1 - sum(trade_count), 0)::BIGINT AS trades_missing
FROM (SELECT *, lag(observed, 1, true) OVER (ORDER BY window_start) AS heard_before FROM bars);
