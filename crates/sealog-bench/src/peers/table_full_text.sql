CREATE VIRTUAL TABLE audit_log_text USING fts5 (
    actor_name, on_behalf_of, metadata, before, after, content = 'audit_log'
);
-- The way that SQLite's manual shows.
CREATE TRIGGER audit_log_text_insert AFTER INSERT ON audit_log BEGIN
    INSERT INTO audit_log_text (rowid, actor_name, on_behalf_of, metadata, before, after)
    VALUES (new.rowid, new.actor_name, new.on_behalf_of, new.metadata, new.before, new.after);
END;
