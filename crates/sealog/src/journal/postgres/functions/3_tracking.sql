-- Changes of tables, captured by triggers in the transaction that makes them.

-- What the triggers need to know of a table, worked out ahead: which columns it keeps, and what they hold. `numbers`
-- may have more digits than a JSON number keeps, `nested` may hold documents, and each of `hidden` is hidden as its
-- neighbour in `modes` says. It counts while the table's columns are those of `fingerprint`.
CREATE TABLE IF NOT EXISTS tracking (
    tracked     oid PRIMARY KEY,
    fingerprint bigint NOT NULL,
    key         text[] NOT NULL,
    excluded    text[] NOT NULL,
    numbers     text[] NOT NULL,
    nested      text[] NOT NULL,
    hidden      text[] NOT NULL,
    modes       text[] NOT NULL
);

CREATE OR REPLACE FUNCTION columns_fingerprint(tracked oid) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN bit_xor(hashtextextended(attname::text, attnum::bigint << 32 | atttypid::bigint))
    FROM pg_attribute WHERE attrelid = tracked AND attnum > 0;
END
$$;

CREATE OR REPLACE FUNCTION track_plan(tracked oid, options jsonb, rules jsonb) RETURNS tracking
LANGUAGE sql STABLE
AS $$
    WITH kept AS (
        SELECT
            attname AS name,
            base.typname = 'numeric' AS number,
            rules ? 'detectors' OR held.typtype IN ('c', 'd') OR held.typname IN ('json', 'jsonb', 'hstore') AS nested,
            CASE WHEN options -> 'redact' ? attname THEN stronger('redact', by_rule) ELSE by_rule END AS mode
        FROM pg_attribute
        JOIN pg_type AS t ON t.oid = atttypid
        JOIN pg_type AS base ON base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
        JOIN pg_type AS held ON held.oid = CASE WHEN base.typcategory = 'A' THEN base.typelem ELSE base.oid END,
            normalized(attname) AS short,
            follow(rules -> 'before', short, false) AS b,
            follow(rules -> 'after', short, false) AS a,
            coalesce(stronger(b.mode, a.mode), rules -> 'names' ->> short) AS by_rule
        WHERE attrelid = tracked AND attnum > 0 AND NOT attisdropped AND NOT options -> 'exclude' ? attname
    )
    SELECT
        tracked,
        columns_fingerprint(tracked),
        ARRAY(SELECT jsonb_array_elements_text(options -> 'key')),
        ARRAY(SELECT jsonb_array_elements_text(options -> 'exclude')),
        coalesce(array_agg(name::text) FILTER (WHERE number AND mode IS NULL), '{}'),
        coalesce(array_agg(name::text) FILTER (WHERE nested AND mode IS NULL), '{}'),
        coalesce(array_agg(name::text ORDER BY name) FILTER (WHERE mode IS NOT NULL), '{}'),
        coalesce(array_agg(mode ORDER BY name) FILTER (WHERE mode IS NOT NULL), '{}')
    FROM kept
$$;

-- A row's values as they can be kept, too many digits as a text.
CREATE OR REPLACE FUNCTION kept_digits(state jsonb, names text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN state || coalesce(jsonb_object_agg(name, state ->> name), '{}')
    FROM unnest(names) AS name
    WHERE jsonb_typeof(state -> name) = 'number' AND length(trim_scale((state ->> name)::numeric)::text) > 15;
END
$$;

-- A row as it is left by what is hidden in it.
CREATE OR REPLACE FUNCTION row_left(state jsonb, plan tracking, rules jsonb, at jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    name text;
    value jsonb;
BEGIN
    FOR i IN 1 .. cardinality(plan.hidden) LOOP
        IF plan.modes[i] = 'remove' THEN
            state := state - plan.hidden[i];
        ELSIF state ? plan.hidden[i] THEN
            state := jsonb_set(state, plan.hidden[i:i], hidden(plan.modes[i], state -> plan.hidden[i]));
        END IF;
    END LOOP;
    FOREACH name IN ARRAY plan.nested LOOP
        value := state -> name;
        IF jsonb_typeof(value) IN ('object', 'array', 'string', 'number') THEN
            state := jsonb_set(state, ARRAY[name], hide(value, rules, (follow(at, normalized(name), false)).inner_at));
        END IF;
    END LOOP;
    RETURN state;
END
$$;

-- A row without the values that make it larger than an event can hold, or that no event can hold.
CREATE OR REPLACE FUNCTION fitted(state jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    problem text := (document_problem(state, 1024 * 1024, '')).problem;
BEGIN
    IF problem IS NULL THEN
        RETURN state;
    END IF;
    SELECT jsonb_object_agg(key, CASE
        WHEN octet_length(value::text) > 4096 OR (document_problem(jsonb_build_array(value), 4096, '')).problem IS NOT NULL
            THEN to_jsonb(format(
                '[OMITTED %s bytes, SHA-256 %s]', octet_length(value::text), encode(sha256(convert_to(value::text, 'UTF8')), 'hex')
            ))
        ELSE value
    END) INTO state
    FROM jsonb_each(state);
    RETURN state;
END
$$;

-- The event of a change of one row, or NULL where nothing changed. `base` is what all rows of a statement share, but
-- for its last brace: a row more costs little.
CREATE OR REPLACE FUNCTION change_event(base text, plan tracking, rules jsonb, before jsonb, after jsonb) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    left_before jsonb;
    left_after jsonb;
    pointers text[] := '{}';
    name text;
    id text;
BEGIN
    IF plan.excluded <> '{}' THEN
        before := before - plan.excluded;
        after := after - plan.excluded;
    END IF;
    IF before = after THEN
        RETURN NULL;
    END IF;
    IF plan.numbers <> '{}' THEN
        before := kept_digits(before, plan.numbers);
        after := kept_digits(after, plan.numbers);
    END IF;
    left_before := before;
    left_after := after;
    IF plan.hidden <> '{}' OR plan.nested <> '{}' THEN
        left_before := row_left(before, plan, rules, rules -> 'before');
        left_after := row_left(after, plan, rules, rules -> 'after');
        IF before IS NOT NULL AND after IS NOT NULL THEN
            FOREACH name IN ARRAY plan.hidden || plan.nested LOOP
                IF before -> name <> after -> name THEN
                    pointers := pointers || ARRAY(SELECT changed_unseen(
                        before -> name, after -> name, left_before -> name, left_after -> name,
                        '/' || replace(replace(name, '~', '~0'), '/', '~1')
                    ));
                END IF;
            END LOOP;
        END IF;
    END IF;
    -- The key as it is left: what is hidden in the row must not stand beside it.
    IF cardinality(plan.key) = 1 THEN
        id := coalesce(left_after, left_before) ->> plan.key[1];
    ELSE
        SELECT jsonb_agg(coalesce(left_after, left_before) -> parts.part ORDER BY parts.number)::text INTO id
        FROM unnest(plan.key) WITH ORDINALITY AS parts (part, number);
    END IF;
    IF octet_length(id) > 1024 THEN
        id := 'sha256:' || encode(sha256(convert_to(id, 'UTF8')), 'hex');
    END IF;
    IF plan.nested <> '{}' OR pg_column_size(left_before) > 128 * 1024 OR pg_column_size(left_after) > 128 * 1024 THEN
        left_before := fitted(left_before);
        left_after := fitted(left_after);
    END IF;
    RETURN concat(
        base,
        ', "resourceId": ' || to_json(nullif(id, '')),
        ', "before": ' || left_before::text,
        ', "after": ' || left_after::text,
        ', "changed": ' || CASE
            WHEN cardinality(pointers) > 1024 OR octet_length(pointers::text) > 256 * 1024 THEN '[""]'
            WHEN pointers <> '{}' THEN to_json(pointers)::text
        END,
        '}'
    );
END
$$;

-- What all events of a statement share: the table, and who it was.
CREATE OR REPLACE FUNCTION change_base(operation text, resource_type text, rules jsonb) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    known jsonb := context();
BEGIN
    IF known <> '{}' THEN
        known := fields_hidden(checked(known || '{"action": "context"}'), rules);
        IF known ? 'metadata' THEN
            known := known || jsonb_build_object('metadata', hide(known -> 'metadata', rules, rules -> 'metadata'));
        END IF;
    END IF;
    IF NOT known ? 'actorId' THEN
        -- The role of the application, which within this function is another one.
        known := known || jsonb_build_object(
            'actorId', coalesce(nullif(current_setting('role'), 'none'), session_user::text), 'actorType', 'database_role'
        );
    END IF;
    known := known || jsonb_build_object(
        'action', CASE operation WHEN 'INSERT' THEN 'record.created' WHEN 'UPDATE' THEN 'record.updated' ELSE 'record.deleted' END,
        'resourceType', resource_type
    );
    RETURN left(known::text, -1);
END
$$;

-- The trigger on each tracked table, once a statement, or once a row where the table is partitioned.
CREATE OR REPLACE FUNCTION capture() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    rules jsonb := redaction();
    root oid := TG_RELID;
    resource_type text := TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME;
    plan tracking;
    base text;
    -- None, one or more.
    rows integer;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        root := pg_partition_root(TG_RELID);
        SELECT nspname || '.' || relname INTO resource_type
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = root;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO rows FROM (SELECT FROM new_rows LIMIT 2) AS first_two;
    ELSIF TG_OP <> 'TRUNCATE' THEN
        SELECT count(*) INTO rows FROM (SELECT FROM old_rows LIMIT 2) AS first_two;
    END IF;
    IF rows = 0 THEN
        RETURN NULL;
    END IF;
    SELECT * INTO plan FROM tracking WHERE tracked = root AND fingerprint = columns_fingerprint(root);
    IF plan.tracked IS NULL THEN
        plan := track_plan(root, TG_ARGV[0]::jsonb, rules);
    END IF;
    base := change_base(TG_OP, resource_type, rules);

    IF TG_LEVEL = 'ROW' THEN
        INSERT INTO inbox (event)
        SELECT event FROM change_event(base, plan, rules, to_jsonb(OLD), to_jsonb(NEW)) AS event WHERE event IS NOT NULL;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO inbox (event) SELECT change_event(base, plan, rules, NULL, to_jsonb(new_rows)) FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO inbox (event) SELECT change_event(base, plan, rules, to_jsonb(old_rows), NULL) FROM old_rows;
    ELSIF TG_OP = 'UPDATE' AND rows = 1 THEN
        INSERT INTO inbox (event)
        SELECT event FROM old_rows, new_rows, change_event(base, plan, rules, to_jsonb(old_rows), to_jsonb(new_rows)) AS event
        WHERE event IS NOT NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        -- Both tables hold the rows in the order in which they were changed; keys may have changed too.
        INSERT INTO inbox (event)
        SELECT event FROM (
            SELECT change_event(base, plan, rules, to_jsonb(before), to_jsonb(after)) AS event
            FROM (SELECT row_number() OVER () AS number, old_rows AS before FROM old_rows) AS o
            JOIN (SELECT row_number() OVER () AS number, new_rows AS after FROM new_rows) AS n USING (number)
            -- Each event is made once.
            OFFSET 0
        ) AS changes
        WHERE event IS NOT NULL;
    ELSE
        EXECUTE format(
            'INSERT INTO inbox (event) SELECT change_event($1, $2, $3, to_jsonb(r), NULL) FROM %s AS r', TG_RELID::regclass
        ) USING base, plan, rules;
    END IF;
    RETURN NULL;
END
$$;

-- Works out anew what the triggers need to know.
CREATE OR REPLACE FUNCTION plan_tracking() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('sealog tracking', 'tracking'::regclass::oid::bigint));
    DELETE FROM tracking;
    INSERT INTO tracking
    SELECT plan.*
    FROM pg_trigger,
        LATERAL (SELECT convert_from(substring(tgargs FOR length(tgargs) - 1), 'UTF8')::jsonb AS options) AS arguments,
        track_plan(tgrelid, options, redaction()) AS plan
    WHERE tgfoid = 'capture'::regproc AND NOT tgisinternal AND tgname = 'sealog_truncated';
END
$$;

-- Captures each change of a table from now on. `key` names what a record is known by, its primary key unless it is
-- given; `exclude` columns that are left out, and `redact` some that are hidden whatever the policy says. On a table
-- that is tracked already it changes how.
CREATE OR REPLACE FUNCTION track(
    tracked regclass, key text[] DEFAULT NULL, exclude text[] DEFAULT '{}', redact text[] DEFAULT '{}'
) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    relation pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = tracked);
    keeper regrole := (SELECT proowner FROM pg_proc WHERE oid = 'capture'::regproc);
    missing text;
    options jsonb;
    level text;
BEGIN
    IF tracked IS NULL THEN
        PERFORM refuse('invalid_argument', '', 'there is no table of this name', 'Name its schema too: public.users.');
    ELSIF relation.relkind NOT IN ('r', 'p') THEN
        PERFORM refuse('invalid_argument', '', format('%s is no table', tracked), 'Track the tables behind it.');
    ELSIF relation.relnamespace = (SELECT pronamespace FROM pg_proc WHERE oid = 'capture'::regproc) THEN
        PERFORM refuse('invalid_argument', '', format('%s is a table of the log itself', tracked), 'It is never tracked.');
    ELSIF relation.relispartition THEN
        PERFORM refuse(
            'invalid_argument', '', format('%s is a partition', tracked), 'Track the partitioned table, which tracks each of them.'
        );
    END IF;
    SELECT name INTO missing FROM unnest(key || exclude || redact) AS name
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = tracked AND attname = name AND attnum > 0 AND NOT attisdropped
    )
    LIMIT 1;
    IF FOUND THEN
        PERFORM refuse('invalid_argument', '', format('%s has no column %I', tracked, missing), 'Names are as in the catalog.');
    END IF;
    key := coalesce(key, (
        SELECT array_agg(attname::text ORDER BY position)
        FROM pg_index, unnest(indkey) WITH ORDINALITY AS column_of (number, position)
        JOIN pg_attribute ON attrelid = tracked AND attnum = number
        WHERE indrelid = tracked AND indisprimary
    ));
    IF key IS NULL OR key = '{}' THEN
        PERFORM refuse(
            'invalid_argument', '', format('%s has no primary key', tracked), 'Name the column that a record is known by as key.'
        );
    ELSIF key && exclude THEN
        PERFORM refuse('invalid_argument', '', 'a key cannot be left out', 'Hide it with redact instead.');
    END IF;
    options := jsonb_build_object('key', key, 'exclude', exclude, 'redact', redact);

    PERFORM untrack(tracked);
    -- What TRUNCATE is about to empty is read by the owner of the log's schema.
    IF NOT has_table_privilege(keeper::oid, tracked, 'SELECT') THEN
        EXECUTE format('GRANT SELECT ON %s TO %s', tracked, keeper);
    END IF;
    IF relation.relkind = 'p' THEN
        -- Triggers of rows are copied to each partition, and see what is written to it directly.
        EXECUTE format(
            'CREATE TRIGGER sealog_changed AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION capture(%L)',
            tracked, options
        );
    ELSE
        FOREACH level IN ARRAY '{
            "created AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows",
            "updated AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
            "deleted AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows"
        }'::text[] LOOP
            EXECUTE format('CREATE TRIGGER sealog_' || level || ' FOR EACH STATEMENT EXECUTE FUNCTION capture(%L)', tracked, options);
        END LOOP;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER sealog_truncated BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION capture(%L)', tracked, options
    );
    PERFORM plan_tracking();
END
$$;

-- Captures no change of a table any more. Answers whether it was tracked.
CREATE OR REPLACE FUNCTION untrack(tracked regclass) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    name text;
    was_tracked boolean := false;
BEGIN
    FOR name IN
        SELECT tgname FROM pg_trigger
        WHERE tgrelid = tracked AND tgfoid = 'capture'::regproc AND NOT tgisinternal AND tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, tracked);
        was_tracked := true;
    END LOOP;
    RETURN was_tracked;
END
$$;

-- The tables that are tracked, and how.
CREATE OR REPLACE FUNCTION tracked(OUT "table" regclass, OUT key text[], OUT exclude text[], OUT redact text[]) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT
        tgrelid::regclass,
        ARRAY(SELECT jsonb_array_elements_text(options -> 'key')),
        ARRAY(SELECT jsonb_array_elements_text(options -> 'exclude')),
        ARRAY(SELECT jsonb_array_elements_text(options -> 'redact'))
    FROM pg_trigger, LATERAL (SELECT convert_from(substring(tgargs FOR length(tgargs) - 1), 'UTF8')::jsonb AS options) AS arguments
    WHERE tgfoid = 'capture'::regproc AND NOT tgisinternal AND tgname = 'sealog_truncated'
    ORDER BY tgrelid::regclass::text
$$;

-- A row of the inbox is written through these triggers, never by calling this.
REVOKE ALL ON FUNCTION capture() FROM PUBLIC;

-- Makes the function that tells the rules, from what the library makes of the log's policy.
CREATE OR REPLACE FUNCTION set_redaction(rules jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    -- One at a time: several nodes may open the log at once.
    PERFORM pg_advisory_xact_lock(hashtextextended('sealog tracking', 'tracking'::regclass::oid::bigint));
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION redaction() RETURNS jsonb LANGUAGE sql STABLE AS %L', format('SELECT %L::jsonb', rules)
    );
    PERFORM plan_tracking();
END
$$;

REVOKE ALL ON FUNCTION set_redaction(jsonb) FROM PUBLIC;
