-- The tables of instruments, a JSON array a day: {files} of them, as a list.
-- Exchange and day are in a file's name alone, so a condition on either opens no other file.
-- {once}: of a day of which several collectors have a table, the first one by name tells of what they all list.
CREATE OR REPLACE VIEW instruments AS
SELECT
    regexp_extract(filename, '([^/\\]+)[/\\][^/\\]+$', 1) AS exchange,
    regexp_extract(filename, '([^/\\]{10})[^/\\]*\.json$', 1)::DATE AS day,
    symbol,
    status,
    base,
    quote,
    TRY_CAST(tick AS DECIMAL(18, 8)) AS tick,
    TRY_CAST(lot AS DECIMAL(20, 8)) AS lot,
    TRY_CAST(listed_since AS DATE) AS listed_since,
    trading
FROM read_json(
    {files},
    format = 'array',
    filename = true,
    columns = {
        symbol: 'VARCHAR',
        status: 'VARCHAR',
        trading: 'BOOLEAN',
        base: 'VARCHAR',
        quote: 'VARCHAR',
        tick: 'VARCHAR',
        lot: 'VARCHAR',
        listed_since: 'VARCHAR'
    }
)
{once};
