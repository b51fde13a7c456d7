SELECT * FROM audit_log ORDER BY timestamp, rowid;
