SELECT * FROM audit_log WHERE severity = ?1 ORDER BY timestamp DESC LIMIT 50
