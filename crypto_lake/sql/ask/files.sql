-- The rows of a table's files, such that a question reads the files of its symbols and days, and opens no other.
-- {macro} is its name (and its parameter, if it has one: `length`), {columns} what it shows, files_of_{name}() the files (a
-- list, of patterns too), {rows} what is in them. {at} is the column of time: that of the table, or `start`, of the
-- interval of `length` µs that a row belongs to; {begin} is the same of a file's first instant `begin`. {depth}: see
-- places.sql. {first} and {last} are the first µs of all files, in the same way, and the last one. Days in elsewhere_of_{name}() (exchange/symbol/day) are read from other files than their daily one.
--
-- A file's path says its symbol and its time, and `place` is the list of these. DuckDB concludes from `at >= X` and
-- `until > at` that `until > X`, and of the files opens only those whose names are left on this side of the join. It
-- does so of two bounds at once only where comparisons with constants stand last: {first} and {last} of all files, so
-- that of a question about another time none is opened. Of symbols it concludes it from `folder = symbol`. Where it does
-- not (an older DuckDB, a filter in other words), the answer is the same, of more files opened.
CREATE OR REPLACE MACRO {macro} AS TABLE
SELECT {columns}
FROM (
    SELECT file, symbol, make_timestamptz({begin}) AS first, make_timestamptz(begin + span) AS until
    FROM (
        SELECT file, symbol_of(file, {depth}) AS symbol, begin_of(file) AS begin, span_of(file) AS span
        FROM glob(files_of_{name}())
        WHERE is_part(file)
            OR concat_ws('/', path_of(file)[{depth} - 1], path_of(file)[{depth}], day_of(file))
                NOT IN (SELECT unnest(elsewhere_of_{name}()))
    )
) AS place, {rows} AS row
WHERE row.filename = place.file AND row.folder = place.symbol
    AND place.until > row.{at} AND place.first <= row.{at}
    AND row.{at} >= make_timestamptz({first}) AND row.{at} <= make_timestamptz({last})
