CREATE TABLE audit_log (
    id                 TEXT PRIMARY KEY,
    timestamp          INTEGER NOT NULL,
    action             TEXT NOT NULL,
    actor_id           TEXT,
    actor_type         TEXT,
    actor_name         TEXT,
    on_behalf_of       TEXT,
    resource_type      TEXT,
    resource_id        TEXT,
    severity           TEXT NOT NULL,
    outcome            TEXT,
    metadata           TEXT,
    before             TEXT,
    after              TEXT,
    ip_address         TEXT,
    user_agent         TEXT,
    session_id         TEXT,
    request_id         TEXT,
    tags               TEXT,
    tenant             TEXT,
    retention_category TEXT
);
CREATE INDEX audit_log_action    ON audit_log (action, timestamp);
CREATE INDEX audit_log_actor     ON audit_log (actor_id, timestamp);
CREATE INDEX audit_log_resource  ON audit_log (resource_type, resource_id, timestamp);
CREATE INDEX audit_log_severity  ON audit_log (severity, timestamp);
CREATE INDEX audit_log_time      ON audit_log (timestamp);
CREATE INDEX audit_log_retention ON audit_log (retention_category, timestamp);
