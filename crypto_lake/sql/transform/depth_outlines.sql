-- What `book_scan.outlines` brings of segments, of the depth that stands for some that are gone.
--
-- reads     depth       a file of depth
SELECT
    -1 AS file,
    is_snapshot,
    epoch_us(any_value(ts_event)) AS ts_event,
    epoch_us(any_value(ts_recv)) AS ts_recv,
    first_id,
    id,
    30 * count(*) AS size
FROM depth
GROUP BY is_snapshot, first_id, id
