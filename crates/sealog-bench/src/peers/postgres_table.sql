CREATE TABLE audit_log (
    id                 uuid PRIMARY KEY,
    timestamp          timestamptz NOT NULL,
    action             text NOT NULL,
    actor_id           text,
    actor_type         text,
    actor_name         text,
    on_behalf_of       text,
    resource_type      text,
    resource_id        text,
    severity           text NOT NULL,
    outcome            text,
    metadata           jsonb,
    before             jsonb,
    after              jsonb,
    ip_address         text,
    user_agent         text,
    session_id         text,
    request_id         text,
    tags               text[],
    tenant             text,
    retention_category text
);
CREATE INDEX ON audit_log (action, timestamp);
CREATE INDEX ON audit_log (actor_id, timestamp);
CREATE INDEX ON audit_log (resource_type, resource_id, timestamp);
CREATE INDEX ON audit_log (severity, timestamp);
CREATE INDEX ON audit_log (timestamp);
CREATE INDEX ON audit_log (retention_category, timestamp);
