-- Where the lake lies, with a slash at its end: the views name their files from there.
-- Whoever opens `lake.duckdb` itself has it beside the data, wherever the folder has been moved to. No function of DuckDB
-- says where that is, but a database's temporary folder is by default `<its file>.tmp`, and a view may ask for that.
-- Whoever attaches it, or has the views in a database of their own, gets the folder in which they were made: the ELSE.
-- Glob characters of a folder's name are taken literally.
CREATE OR REPLACE MACRO lake_folder() AS regexp_replace(
    CASE
        WHEN suffix(current_setting('temp_directory'), '{database}.tmp')
            THEN left(current_setting('temp_directory'), -length('{database}.tmp'))
        ELSE {folder}
    END,
    '([*?\[])',
    '[\1]',
    'g'
);
