-- Whether a vacuum would leave nothing of what transactions before $1 rewrote.
WITH horizon AS (SELECT age(coalesce($1::text::xid8, pg_snapshot_xmax(pg_current_snapshot()))::xid) AS age)
SELECT
    CASE
        WHEN pg_has_role(relowner, 'USAGE') THEN true
        WHEN current_setting('server_version_num')::integer >= 170000 THEN has_table_privilege(oid, 'MAINTAIN')
        ELSE false
    END
    AND NOT EXISTS (
        SELECT FROM pg_stat_activity, horizon WHERE pid <> pg_backend_pid() AND age(backend_xmin) > horizon.age
    )
    AND NOT EXISTS (SELECT FROM pg_prepared_xacts, horizon WHERE age(transaction) > horizon.age)
    AND NOT EXISTS (SELECT FROM pg_replication_slots, horizon WHERE age(xmin) > horizon.age)
FROM pg_class WHERE oid = 'event'::regclass
