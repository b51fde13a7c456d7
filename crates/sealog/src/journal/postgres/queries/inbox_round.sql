-- Behind which position a round begins, of what became visible since $1 and up to $2. Found by the transactions:
-- by the positions, all that was drained before and that some old snapshot keeps would be stepped over.
WITH candidate AS MATERIALIZED (
    SELECT position, xid FROM inbox WHERE xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    UNION ALL
    SELECT position, xid FROM inbox WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
)
SELECT min(position) - 1 FROM candidate WHERE pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
