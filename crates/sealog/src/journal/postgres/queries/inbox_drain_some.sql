-- The next rows of a round, in the order of their positions: at most $4 rows, and no more once there are $5 bytes.
WITH next AS MATERIALIZED (
    SELECT position, sum(octet_length(event::text)) OVER (ORDER BY position) - octet_length(event::text) AS before
    FROM (
        SELECT position, event FROM inbox
        WHERE
            position > $3
            AND (xid >= pg_snapshot_xmax($1::text::pg_snapshot)
                OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot))))
            AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
        ORDER BY position LIMIT $4::bigint
    ) AS candidate
), gone AS (
    DELETE FROM inbox USING next WHERE inbox.position = next.position AND before < $5::bigint
    RETURNING inbox.position, inbox.id, inbox.event::text AS event, inbox.inserted_at, inbox.digest
)
SELECT 0::bigint, gone.* FROM gone ORDER BY position
