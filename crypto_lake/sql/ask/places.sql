-- What a file's path says of its rows, from the folder of their symbol on: `…/SOLUSDT/2025-10-20.parquet` (in ticks with a
-- folder more, so `depth` is the symbol's place from the end), `…/SOLUSDT/year=2025/month=10/day=20/part-0015.parquet`.
-- The first instant is in µs since the epoch, null where the name is no time; a day's file lasts a day, a part an hour.
CREATE OR REPLACE MACRO path_of(file) AS string_split(replace(file, '\', '/'), '/');
CREATE OR REPLACE MACRO is_part(file) AS path_of(file)[-1] LIKE 'part-%';
CREATE OR REPLACE MACRO symbol_of(file, depth) AS path_of(file)[CASE WHEN is_part(file) THEN -5 ELSE depth END];
CREATE OR REPLACE MACRO day_of(file) AS CASE
    WHEN is_part(file) THEN concat_ws('-', path_of(file)[-4][6:], path_of(file)[-3][7:], path_of(file)[-2][5:])
    ELSE path_of(file)[-1][:10]
END;
CREATE OR REPLACE MACRO begin_of(file) AS epoch_us(try_cast(day_of(file) AS TIMESTAMP))
    + CASE WHEN is_part(file) THEN path_of(file)[-1][6:9]::BIGINT * 3600000000 ELSE 0 END;
CREATE OR REPLACE MACRO span_of(file) AS CASE WHEN is_part(file) THEN 3600000000 ELSE 86400000000 END;
