-- The view `instruments` of a lake that has no table of them.
CREATE OR REPLACE VIEW instruments AS
SELECT
    NULL::VARCHAR AS exchange,
    NULL::DATE AS day,
    NULL::VARCHAR AS symbol,
    NULL::VARCHAR AS status,
    NULL::VARCHAR AS base,
    NULL::VARCHAR AS quote,
    NULL::DECIMAL(18, 8) AS tick,
    NULL::DECIMAL(20, 8) AS lot,
    NULL::DATE AS listed_since,
    NULL::BOOLEAN AS trading
WHERE false;
