DELETE FROM audit_log WHERE retention_category = 'half' AND timestamp < ?1;
