-- What became visible since $1 and up to $2, if it is at most $3 rows and $4 bytes: of the transactions that ran
-- then, and of those that came later. What was drained before is never looked at, so it is no burden, however long
-- some old snapshot keeps it. Answers how many rows there are, one more than $3 where there are more.
WITH fresh AS MATERIALIZED (
    SELECT position, octet_length(event::text) AS bytes FROM (
        SELECT position, xid, event FROM inbox WHERE xid >= pg_snapshot_xmax($1::text::pg_snapshot)
        UNION ALL
        SELECT position, xid, event FROM inbox
        WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
    ) AS candidate
    WHERE pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
    LIMIT $3::bigint + 1
), counted AS MATERIALIZED (
    SELECT CASE WHEN sum(bytes) > $4::bigint THEN greatest(count(*), $3 + 1) ELSE count(*) END AS rows FROM fresh
), gone AS (
    DELETE FROM inbox USING fresh
    WHERE inbox.position = fresh.position AND (SELECT rows FROM counted) <= $3
    RETURNING inbox.position, inbox.id, inbox.event::text AS event, inbox.inserted_at, inbox.digest
)
SELECT counted.rows, gone.* FROM counted LEFT JOIN gone ON true ORDER BY position
