-- What the bars of each subject are, looked at once: whether they lie in order of time, each instant once; how many begin
-- an interval of the subject's span; and the bars that contradict themselves (`inconsistent`) or jump (`jumps`).
-- A vwap is a rounded quotient and may leave [low, high] by its last bits. A bid above the ask, which is 0 where that side
-- is empty, is what the exchange said and will be said whenever the bar is made anew: it has a `reason`. A jump is a move
-- by more than a share of the price itself: since the close before, or between the bar's own low and high.
-- A window without an order goes by that of the rows, and they come as they lie in the files, one subject after the other:
-- nothing is sorted, and this costs what reading the columns does.
-- reads `bars`, by subject
-- variables: starts, untils (of the span of each subject, µs), step (µs), max_jump (0.1 is a tenth)
WITH followed AS (
    SELECT
        *,
        epoch_us(window_start) AS us,
        lag(subject) OVER () IS NOT DISTINCT FROM subject AS is_followed,
        lag(window_start) OVER () AS start_before,
        lag(close) OVER () AS last_close
    FROM bars
),
judged AS (
    SELECT
        *,
        list_extract($starts::BIGINT[], subject + 1) AS start,
        list_extract($untils::BIGINT[], subject + 1) AS until,
        window_start IS NULL OR (is_followed AND window_start <= start_before) AS is_late,
        coalesce(
            low > least(open, close)
            OR high < greatest(open, close)
            OR vwap < low * (1 - 1e-12)
            OR vwap > high * (1 + 1e-12)
            OR (spread < 0) <> (ask < bid)
            OR taker_buy_base > volume_base
            OR taker_buy_quote > volume_quote
            OR (trade_count = 0) <> (volume_base = 0),
            false
        ) AS is_wrong,
        CASE WHEN is_followed THEN last_close END AS close_before
    FROM followed
)
SELECT
    subject,
    NOT bool_or(is_late) AS is_in_order,
    count(*) FILTER (us >= start AND us < until AND (us - start) % $step = 0) AS bars,
    coalesce(list({
        'window_start': window_start, 'open': open, 'high': high, 'low': low, 'close': close, 'vwap': vwap, 'bid': bid,
        'ask': ask, 'spread': spread, 'volume_base': volume_base, 'taker_buy_base': taker_buy_base,
        'reason': CASE WHEN NOT is_wrong THEN 'the exchange''s own quote has its bid above its ask' END
    } ORDER BY window_start) FILTER (is_wrong OR spread < 0), []) AS inconsistent,
    coalesce(list({
        'window_start': window_start, 'close_before': close_before, 'open': open, 'high': high, 'low': low,
        'jump': round(greatest(coalesce(abs(open / close_before - 1), 0), high / low - 1), 4)
    } ORDER BY window_start) FILTER (
        trade_count > 0 AND (abs(open / close_before - 1) > $max_jump OR high / low - 1 > $max_jump)
    ), []) AS jumps
FROM judged
GROUP BY subject
