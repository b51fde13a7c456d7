-- What the journal's tables are made of, and what could change what is written there or read from there.
WITH journal AS (
    SELECT oid, relname, relkind, relrowsecurity, relhasrules, relispartition FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace
        AND relname IN ('signer', 'event', 'node', 'checkpoint', 'own_event', 'rejected', 'state', 'drained', 'migration')
        AND relkind <> 'i'
)
SELECT 'table ' || relname, concat_ws(', ', relkind::text,
    CASE WHEN relrowsecurity THEN 'row security' END,
    CASE WHEN relhasrules THEN 'rules' END,
    CASE WHEN relispartition THEN 'partition' END,
    (SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END, ', ' ORDER BY attnum)
     FROM pg_attribute WHERE attrelid = journal.oid AND attnum > 0 AND NOT attisdropped))
FROM journal
UNION ALL
SELECT 'index ' || index.relname, CASE WHEN indisunique THEN 'unique ' ELSE '' END || CASE WHEN indisvalid THEN '' ELSE 'invalid ' END || journal.relname || ' ('
    || (SELECT string_agg(pg_get_indexdef(indexrelid, part, true), ', ' ORDER BY part) FROM generate_series(1, indnkeyatts) AS part) || ')'
FROM pg_index JOIN journal ON journal.oid = indrelid JOIN pg_class AS index ON index.oid = indexrelid
UNION ALL
SELECT 'trigger ' || tgname, journal.relname
FROM pg_trigger JOIN journal ON journal.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'constraint ' || conname, contype::text || ' ' || journal.relname
FROM pg_constraint JOIN journal ON journal.oid = conrelid WHERE contype NOT IN ('p', 'u', 'n')
