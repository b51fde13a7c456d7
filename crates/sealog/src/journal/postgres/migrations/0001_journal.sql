-- The journal in PostgreSQL. docs/FORMAT.md says what each column holds.
--
-- Migrations and queries name no schema: whoever runs them has the log's schema, and pg_temp behind it, as the
-- search path. A function that must find its tables under any path says SET search_path FROM CURRENT.

-- Which key signs checkpoints larger than `since`. The first row is the key the log began with.
CREATE TABLE signer (
    since bigint PRIMARY KEY,
    vkey  text NOT NULL
);

-- The events, a row each. `tree` is the size of the tree that first held the event, counted from its seq;
-- `digest` tells whether an id that is sent again comes with the same event, and is NULL where the log chose the
-- id. The sealed bytes are the canonical JSON of `body`. Of a removed event salt and body are NULL.
CREATE TABLE event (
    seq        bigint PRIMARY KEY,
    id         text COLLATE "C" NOT NULL UNIQUE,
    tree       integer NOT NULL,
    digest     bytea,
    commitment bytea NOT NULL,
    salt       bytea,
    body       jsonb
);

-- The tree above the leaves: the root of each complete subtree of 256^level leaves.
CREATE TABLE node (
    level smallint NOT NULL,
    idx   bigint NOT NULL,
    hash  bytea NOT NULL,
    PRIMARY KEY (level, idx)
);

-- Signed checkpoints, and the right edge of the tree at that size, from which it grows on.
CREATE TABLE checkpoint (
    size     bigint PRIMARY KEY,
    frontier bytea NOT NULL,
    note     text NOT NULL
);

-- A UUIDv7.
CREATE FUNCTION new_id() RETURNS text
LANGUAGE sql VOLATILE
AS $$
    SELECT encode(
        set_bit(set_bit(overlay(
            uuid_send(gen_random_uuid())
            PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
            FROM 1 FOR 6
        ), 52, 1), 53, 1),
        'hex'
    )::uuid::text
$$;

-- The application inserts events here, in its own transactions: INSERT INTO inbox (event) VALUES (json).
CREATE TABLE inbox (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The transaction that inserted it: what was drained is known by it, whatever the order of commits.
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The event's id where its JSON names none.
    id          text NOT NULL DEFAULT new_id(),
    -- Kept as it was written, unlike jsonb.
    event       json NOT NULL,
    -- The event's timestamp where its JSON names none, milliseconds since the Unix epoch.
    inserted_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    -- Set by the library and by functions of this schema: a digest of what the caller sent, and a code that
    -- vouches for it.
    digest      text
);
CREATE INDEX inbox_xid ON inbox (xid);

-- How far the inbox is drained: all that the snapshot `seen` saw is in the log. While there is more than one
-- batch takes, `round` is the snapshot that is on its turn, and it is drained up to `position`. The newest row
-- counts; `cluster` tells that numbers of transactions are of the same cluster still.
CREATE TABLE drained (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster  bigint NOT NULL,
    seen     pg_snapshot NOT NULL,
    round    pg_snapshot,
    position bigint NOT NULL
);

-- Rows of the inbox that were no valid events.
CREATE TABLE rejected (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text NOT NULL,
    rejected_at bigint NOT NULL,
    code        text NOT NULL,
    reason      text NOT NULL,
    digest      text NOT NULL,
    copy        text,
    UNIQUE (id, digest)
);

-- Small counters that are no evidence: the newest row of a name counts, and of `sampled` the sum.
CREATE TABLE state (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   text NOT NULL,
    value  bigint NOT NULL
);

-- The events for who asks in SQL. Times are milliseconds since the Unix epoch.
CREATE VIEW events AS
SELECT
    seq,
    id,
    (body ->> 'timestamp')::bigint AS timestamp,
    (body ->> 'recordedAt')::bigint AS recorded_at,
    body ->> 'action' AS action,
    body ->> 'severity' AS severity,
    body ->> 'outcome' AS outcome,
    body ->> 'actorId' AS actor_id,
    body ->> 'actorType' AS actor_type,
    body ->> 'actorName' AS actor_name,
    body ->> 'onBehalfOf' AS on_behalf_of,
    body ->> 'resourceType' AS resource_type,
    body ->> 'resourceId' AS resource_id,
    body ->> 'tenant' AS tenant,
    body ->> 'ipAddress' AS ip_address,
    body ->> 'userAgent' AS user_agent,
    body ->> 'sessionId' AS session_id,
    body ->> 'requestId' AS request_id,
    body -> 'tags' AS tags,
    body ->> 'retentionCategory' AS retention_category,
    body -> 'metadata' AS metadata,
    body -> 'before' AS before,
    body -> 'after' AS after,
    body -> 'diff' AS diff,
    body -> 'changed' AS changed,
    body
FROM event;
