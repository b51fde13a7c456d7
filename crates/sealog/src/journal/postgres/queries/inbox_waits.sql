WITH newest AS MATERIALIZED (SELECT seen, round FROM drained ORDER BY number DESC LIMIT 1)
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM newest) THEN EXISTS (SELECT FROM inbox)
    WHEN (SELECT round FROM newest) IS NOT NULL THEN true
    WHEN EXISTS (SELECT FROM inbox WHERE xid >= (SELECT pg_snapshot_xmax(seen) FROM newest)) THEN true
    ELSE EXISTS (SELECT FROM inbox WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(seen) FROM newest)))
END
