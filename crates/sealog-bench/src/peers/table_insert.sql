INSERT INTO audit_log (
    id, timestamp, action, actor_id, actor_type, actor_name, on_behalf_of, resource_type, resource_id,
    severity, outcome, metadata, before, after, ip_address, user_agent, session_id, request_id, tags,
    tenant, retention_category
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
