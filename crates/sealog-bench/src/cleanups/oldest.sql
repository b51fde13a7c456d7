DELETE FROM audit_log WHERE timestamp < ?1;
