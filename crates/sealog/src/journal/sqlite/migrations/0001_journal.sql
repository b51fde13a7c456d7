-- The journal. docs/FORMAT.md says what each column holds, byte for byte.

-- Which key signs checkpoints larger than `since`. The first row is the key the log began with.
CREATE TABLE signer (
    since INTEGER PRIMARY KEY,
    vkey  TEXT NOT NULL
) STRICT;

-- Events of late, a row each, until they are packed into a frame.
CREATE TABLE event (
    seq        INTEGER PRIMARY KEY,
    commitment BLOB NOT NULL,
    salt       BLOB NOT NULL,
    body       BLOB NOT NULL
) STRICT;

-- Neighbouring events, packed: `seq` is the first of `count`.
CREATE TABLE frame (
    seq         INTEGER PRIMARY KEY,
    count       INTEGER NOT NULL,
    commitments BLOB NOT NULL,
    salts       BLOB NOT NULL,
    bodies      BLOB NOT NULL
) STRICT;

-- Each id once: 16 bytes where it is a UUID, text otherwise. `tree` is the size of the tree that
-- first held the event, counted from its seq; `digest` tells whether an id that is sent again comes
-- with the same event, and is NULL where the log chose the id.
CREATE TABLE event_id (
    id     ANY PRIMARY KEY NOT NULL,
    seq    INTEGER NOT NULL,
    tree   INTEGER NOT NULL,
    digest BLOB
) STRICT, WITHOUT ROWID;

-- The tree above the leaves: the root of each complete subtree of 256^level leaves.
CREATE TABLE node (
    level INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

-- Signed checkpoints, and the right edge of the tree at that size, from which it grows on.
CREATE TABLE checkpoint (
    size     INTEGER PRIMARY KEY,
    frontier BLOB NOT NULL,
    note     TEXT NOT NULL
) STRICT;

-- Rows of inboxes that were no valid events.
CREATE TABLE sealog_rejected (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    rejected_at INTEGER NOT NULL,
    code        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    copy        TEXT,
    -- A row that is drained twice is the same row.
    UNIQUE (id, digest)
) STRICT;

-- Small counters that are no evidence.
CREATE TABLE state (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
