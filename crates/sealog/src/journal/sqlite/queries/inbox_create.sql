-- The application inserts events here, in its own transactions: INSERT INTO sealog_inbox(event) VALUES (json).
CREATE TABLE IF NOT EXISTS sealog_inbox (
    -- The order of commits; never used twice, so that what was drained stays known by number.
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The event's id where its JSON names none: a UUIDv7.
    id          TEXT NOT NULL DEFAULT (
        printf(
            '%08x-%04x-7%s-%s%s-%s',
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) >> 16,
            CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) & 65535,
            substr(lower(hex(randomblob(2))), 2),
            substr('89ab', 1 + (random() & 3), 1),
            substr(lower(hex(randomblob(2))), 2),
            lower(hex(randomblob(6)))
        )
    ),
    -- JSON. Any value may stand here: what is no event is set aside, and never fails the application.
    event,
    -- The event's timestamp where its JSON names none, milliseconds since the Unix epoch.
    inserted_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    -- Set by the library: a digest of what the caller sent, and a code that vouches for it.
    digest      TEXT,
    -- Set by the library: all rows up to this position are in the log.
    drained     INTEGER,
    -- Set by the library: the inbox of which `drained` speaks.
    inbox       TEXT
);

-- Rows that are in the log go within the application's own transactions, so that the log
-- need not write to this file while the application does. A position of another inbox says nothing here.
CREATE TRIGGER IF NOT EXISTS sealog_inbox_trim AFTER INSERT ON sealog_inbox
WHEN NEW.drained IS NOT NULL AND NEW.inbox = (SELECT inbox FROM sealog_inbox_log)
BEGIN
    DELETE FROM sealog_inbox WHERE position <= NEW.drained AND position < NEW.position;
END;

-- Whose inbox it is: of two logs that drain one table each would miss what the other has taken. And
-- which one it is, by a random number, since one log may have several.
CREATE TABLE IF NOT EXISTS sealog_inbox_log (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    inbox  TEXT NOT NULL
);
