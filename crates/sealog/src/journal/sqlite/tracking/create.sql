-- Who acts: one row, which the application inserts at the beginning of its transaction and deletes before the end. A row
-- that is committed counts for whoever writes next. AuditLog::acting_in sees to it.
CREATE TABLE IF NOT EXISTS sealog_context (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    -- actorId, actorType, actorName, onBehalfOf, ipAddress, userAgent, sessionId, requestId, tenant, metadata.
    context TEXT NOT NULL CHECK (json_type(context) = 'object')
);

-- The tables that are tracked, and how: JSON arrays of names of columns.
CREATE TABLE IF NOT EXISTS sealog_tracked (
    name    TEXT PRIMARY KEY COLLATE NOCASE,
    key     TEXT NOT NULL,
    exclude TEXT NOT NULL,
    redact  TEXT NOT NULL
);

-- Rows that INSERT OR REPLACE is about to replace, which fires no trigger for them: as they will be in their event.
CREATE TABLE IF NOT EXISTS sealog_replaced (
    name    TEXT NOT NULL COLLATE NOCASE,
    row     INTEGER,
    id      TEXT,
    before  TEXT NOT NULL,
    changed TEXT NOT NULL,
    differs INTEGER NOT NULL
);
