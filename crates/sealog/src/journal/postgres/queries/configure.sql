-- Each connection, when it is made. $schema and $patience_ms are put in before.
SET search_path TO $schema, pg_temp;
SET client_encoding TO 'UTF8';
SET client_min_messages TO warning;
SET TimeZone TO 'UTC';
SET jit TO off;
SET lock_timeout TO $patience_ms;
-- A node that is cut off must not hold the log's lock for longer.
SET idle_in_transaction_session_timeout TO $patience_ms;
SET tcp_keepalives_idle TO 10;
SET tcp_keepalives_interval TO 2;
SET tcp_keepalives_count TO 5;
-- What is acknowledged is durable, on standbys too where there are such.
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
