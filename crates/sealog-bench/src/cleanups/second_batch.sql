DELETE FROM audit_log WHERE rowid IN (
    SELECT rowid FROM audit_log WHERE retention_category = 'half' AND timestamp < ?1 LIMIT ?2
);
