SELECT * FROM audit_log WHERE actor_id = ?1 ORDER BY timestamp DESC LIMIT 50
