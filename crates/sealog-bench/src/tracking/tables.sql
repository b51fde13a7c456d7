-- One table three times: as it is, tracked by Sealog, and as supa_audit does it.
CREATE TABLE untracked (
    id int PRIMARY KEY, name text, email text, city text, created timestamptz DEFAULT now(), visits int, active bool, note text
);
CREATE TABLE tracked (LIKE untracked INCLUDING ALL);
CREATE TABLE versioned (LIKE untracked INCLUDING ALL);
SELECT sealog.track('tracked');

-- Row by row into a table with two jsonb columns and indexes on time, table and record.
CREATE TABLE record_version (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id uuid, old_record_id uuid, op text NOT NULL, ts timestamptz NOT NULL DEFAULT now(),
    table_oid oid NOT NULL, table_schema name NOT NULL, table_name name NOT NULL, record jsonb, old_record jsonb
);
CREATE INDEX ON record_version USING brin (ts);
CREATE INDEX ON record_version (table_oid);
CREATE INDEX ON record_version (record_id) WHERE record_id IS NOT NULL;
CREATE INDEX ON record_version (old_record_id) WHERE old_record_id IS NOT NULL;
CREATE FUNCTION record_id(of oid, record jsonb) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN record IS NULL THEN NULL ELSE md5(of::text || (record ->> 'id'))::uuid END
$$;
CREATE FUNCTION keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_is jsonb := to_jsonb(NEW);
    was jsonb := to_jsonb(OLD);
BEGIN
    INSERT INTO record_version (record_id, old_record_id, op, table_oid, table_schema, table_name, record, old_record)
    SELECT record_id(TG_RELID, now_is), record_id(TG_RELID, was), TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME, now_is, was;
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER versions AFTER INSERT OR UPDATE OR DELETE ON versioned FOR EACH ROW EXECUTE FUNCTION keep_version();

-- An event is written down, and nobody looks for it.
CREATE TABLE by_hand (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event json NOT NULL);
