-- Where the lake lies, with a slash at its end: the views name their files from there.
-- Whoever opens `lake.duckdb` itself has it beside the data, wherever the folder has been moved to. No function of DuckDB
-- says where that is, but a database's temporary folder is by default `<its file>.tmp`, and a view may ask for that.
-- Whoever attaches it to another, or has the views in a database of their own, gets the folder in which they were made:
-- the ELSE. (One thing it cannot tell: a second lake.duckdb that is attached where another one was opened.)
-- Glob characters of a folder's name are taken literally.
CREATE OR REPLACE MACRO lake_folder() AS regexp_replace(
    CASE
        WHEN regexp_matches(current_setting('temp_directory'), '(^|[/\\])lake\.duckdb\.tmp$')
            THEN left(current_setting('temp_directory'), -length('lake.duckdb.tmp'))
        ELSE {folder}
    END,
    '([*?\[])',
    '[\1]',
    'g'
);
