SELECT * FROM audit_log WHERE resource_type = ?1 AND resource_id = ?2 ORDER BY timestamp DESC LIMIT 50
