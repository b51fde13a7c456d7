SELECT
    cluster, seen::text, round::text, position,
    pg_current_snapshot()::text,
    (SELECT system_identifier FROM pg_control_system())
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT * FROM drained ORDER BY number DESC LIMIT 1) AS newest ON true
