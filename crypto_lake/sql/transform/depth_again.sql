-- What `book_scan.lines` brings of segments, of the depth that stands for some that are gone.
--
-- reads     depth       a file of depth, with `file_row_number`
-- variables first, last the ids that are wanted
SELECT
    if(is_snapshot, 'depthSnapshot', 'depth') AS stream,
    any_value(symbol) AS symbol,
    epoch_us(any_value(ts_event)) AS ts_event,
    epoch_us(any_value(ts_recv)) AS ts_recv,
    first_id,
    id,
    coalesce(list([price::VARCHAR, qty::VARCHAR] ORDER BY file_row_number) FILTER (side = 'bid'), []) AS bids,
    coalesce(list([price::VARCHAR, qty::VARCHAR] ORDER BY file_row_number) FILTER (side = 'ask'), []) AS asks
FROM depth
WHERE id BETWEEN $first AND $last
GROUP BY is_snapshot, first_id, id
