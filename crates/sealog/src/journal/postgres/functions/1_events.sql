-- Events from any transaction: SELECT sealog.log('{"action": "invoice.paid"}').
--
-- Like migrations, these files name no schema and are run with the log's as the search path; each can be run again.

-- Fails the statement, saying what is wrong and where.
CREATE OR REPLACE FUNCTION refuse(code text, pointer text, problem text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = 'sealog: ' || ltrim(pointer || ' ') || problem,
        DETAIL = 'code ' || code,
        HINT = hint;
END
$$;

-- How long each text of an event may be, in bytes; NULL for what is no text.
CREATE OR REPLACE FUNCTION text_limit(name text, OUT bytes integer, OUT label text, OUT may_be_empty boolean)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    CASE name
        WHEN 'id' THEN
            bytes := 256;
            label := 'MAX_ID_BYTES';
        WHEN 'action' THEN
            bytes := 256;
            label := 'MAX_ACTION_BYTES';
        WHEN 'userAgent' THEN
            bytes := 4096;
            label := 'MAX_USER_AGENT_BYTES';
        WHEN 'actorId', 'actorType', 'actorName', 'onBehalfOf', 'resourceType', 'resourceId', 'ipAddress', 'sessionId',
            'requestId', 'tenant', 'retentionCategory'
        THEN
            bytes := 1024;
            label := 'MAX_FIELD_BYTES';
        ELSE
            RETURN;
    END CASE;
    may_be_empty := name IN ('actorName', 'ipAddress', 'userAgent');
END
$$;

CREATE OR REPLACE FUNCTION check_text(pointer text, value jsonb, bytes integer, label text, may_be_empty boolean)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    size integer := octet_length(value #>> '{}');
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        PERFORM refuse('invalid_event', pointer, 'is of type ' || jsonb_typeof(value) || '; it is a text', 'Send it in quotes.');
    ELSIF size = 0 AND NOT may_be_empty THEN
        PERFORM refuse('invalid_event', pointer, 'is empty', 'Leave it out where there is none.');
    ELSIF size > bytes THEN
        PERFORM refuse(
            'limit_exceeded', pointer, format('has %s bytes; the limit is %s (%s)', size, bytes, label), 'Shorten it.'
        );
    END IF;
END
$$;

-- The bytes of canonical JSON, or some more where a number is written shorter there.
CREATE OR REPLACE FUNCTION canonical_bytes(value jsonb) RETURNS integer
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN octet_length(regexp_replace(value::text, '("(?:[^"\\]|\\.)*")|([:,]) ', '\1\2', 'g'));
END
$$;

-- What keeps a document out of the log, if anything does.
CREATE OR REPLACE FUNCTION document_problem(value jsonb, bytes integer, label text, OUT code text, OUT problem text)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF octet_length(value::text) > bytes AND canonical_bytes(value) > bytes THEN
        code := 'limit_exceeded';
        problem := format('has %s bytes of canonical JSON; the limit is %s (%s)', canonical_bytes(value), bytes, label);
    ELSIF jsonb_typeof(value) NOT IN ('object', 'array') AND jsonb_typeof(value) <> 'number' THEN
        RETURN;
    ELSIF jsonb_path_exists(value, 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")') THEN
        code := 'limit_exceeded';
        problem := 'nests deeper than 64 levels (MAX_DEPTH)';
    ELSIF jsonb_path_exists(
        value,
        'strict $.** ? (@.type() == "number" && (@ >= 1.7976931348623158079e308 || @ <= -1.7976931348623158079e308))'
    ) THEN
        code := 'invalid_event';
        problem := 'holds a number that no 64-bit float can hold';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION check_document(pointer text, value jsonb, bytes integer, label text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    found record := document_problem(value, bytes, label);
BEGIN
    IF found.problem IS NOT NULL THEN
        PERFORM refuse(found.code, pointer, found.problem, 'Send less of it, or what matters in another form.');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION check_pointers(pointers jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    position bigint;
BEGIN
    IF jsonb_typeof(pointers) <> 'array' THEN
        PERFORM refuse('invalid_event', '/changed', 'is no array', 'Send JSON Pointers to what changed: ["/email"].');
    END IF;
    IF jsonb_array_length(pointers) > 1024 THEN
        PERFORM refuse(
            'limit_exceeded', '/changed',
            format('has %s pointers; the limit is 1024 (MAX_CHANGED_POINTERS)', jsonb_array_length(pointers)),
            'Name what holds them instead.'
        );
    END IF;
    IF octet_length(pointers::text) > 256 * 1024 THEN
        PERFORM refuse('limit_exceeded', '/changed', 'is larger than 256 KiB (MAX_CHANGED_BYTES)', 'Name what holds them instead.');
    END IF;
    SELECT each.position - 1 INTO position
    FROM jsonb_array_elements(pointers) WITH ORDINALITY AS each (value, position)
    WHERE jsonb_typeof(value) <> 'string' OR value #>> '{}' !~ '^(/([^~]|~[01])*)?$'
    ORDER BY each.position LIMIT 1;
    IF FOUND THEN
        PERFORM refuse(
            'invalid_event', '/changed/' || position, 'is no JSON Pointer (RFC 6901)',
            'It is empty, or each segment stands after a "/", with "~" as "~0" and "/" as "~1".'
        );
    END IF;
END
$$;

-- Checks what a caller sends as the library does, and leaves out what is null and means absent.
CREATE OR REPLACE FUNCTION checked(event jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    name text;
    value jsonb;
    bounds record;
    position bigint;
    now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    max_future_ms bigint := coalesce((redaction() ->> 'maxFutureMs')::bigint, 300000);
BEGIN
    IF event IS NULL OR jsonb_typeof(event) <> 'object' THEN
        PERFORM refuse('invalid_event', '', 'an event is a JSON object', 'Send {"action": "invoice.paid", …}.');
    END IF;
    FOR name, value IN SELECT * FROM jsonb_each(event) LOOP
        IF value = 'null' AND name NOT IN ('before', 'after', 'action', 'severity', 'tags', 'changed') THEN
            event := event - name;
            CONTINUE;
        END IF;
        bounds := text_limit(name);
        IF bounds.bytes IS NOT NULL THEN
            PERFORM check_text('/' || name, value, bounds.bytes, bounds.label, bounds.may_be_empty);
            CONTINUE;
        END IF;
        CASE name
            WHEN 'metadata' THEN
                IF jsonb_typeof(value) <> 'object' THEN
                    PERFORM refuse('invalid_event', '/metadata', 'is no object', 'Send members: {"attempt": 3}.');
                END IF;
                PERFORM check_document('/metadata', value, 256 * 1024, 'MAX_METADATA_BYTES');
            WHEN 'before', 'after' THEN
                PERFORM check_document('/' || name, value, 1024 * 1024, 'MAX_STATE_BYTES');
            WHEN 'severity' THEN
                IF value NOT IN ('"info"', '"warning"', '"error"', '"critical"') THEN
                    PERFORM refuse('invalid_event', '/severity', 'is none', 'It is info, warning, error or critical.');
                END IF;
            WHEN 'outcome' THEN
                IF value NOT IN ('"success"', '"failure"', '"denied"') THEN
                    PERFORM refuse('invalid_event', '/outcome', 'is none', 'It is success, failure or denied.');
                END IF;
            WHEN 'tags' THEN
                IF jsonb_typeof(value) <> 'array' THEN
                    PERFORM refuse('invalid_event', '/tags', 'is no array', 'Send texts: ["billing"].');
                ELSIF jsonb_array_length(value) > 64 THEN
                    PERFORM refuse(
                        'limit_exceeded', '/tags',
                        format('has %s tags; the limit is 64 (MAX_TAGS)', jsonb_array_length(value)), 'Send fewer.'
                    );
                END IF;
                FOR value, position IN SELECT * FROM jsonb_array_elements(value) WITH ORDINALITY LOOP
                    PERFORM check_text('/tags/' || position - 1, value, 256, 'MAX_TAG_BYTES', false);
                END LOOP;
            WHEN 'changed' THEN
                PERFORM check_pointers(value);
            WHEN 'timestamp' THEN
                IF jsonb_typeof(value) <> 'number' OR value::text !~ '^-?[0-9]{1,18}$' OR value::text::bigint < 0 THEN
                    PERFORM refuse(
                        'invalid_event', '/timestamp', 'is no whole number of milliseconds since 1970',
                        'Send milliseconds since the Unix epoch, or leave it out.'
                    );
                ELSIF value::text::bigint - now_ms > max_future_ms THEN
                    PERFORM refuse(
                        'invalid_event', '/timestamp',
                        format(
                            'lies %s ms ahead of the database''s clock; at most %s ms are allowed (max_future_ms)',
                            value::text::bigint - now_ms, max_future_ms
                        ),
                        'A timestamp is in milliseconds since the Unix epoch.'
                    );
                END IF;
            WHEN 'seq', 'recordedAt', 'diff' THEN
                PERFORM refuse('invalid_event', '/' || name, 'is assigned by the log and cannot be sent', 'Leave it out.');
            ELSE
                PERFORM refuse(
                    'invalid_event', '/' || name, 'is no field of an event',
                    'Put what is your own into "metadata". Names are camelCase: actorId, resourceType, ipAddress.'
                );
        END CASE;
    END LOOP;
    IF event ->> 'action' IS NULL OR btrim(event ->> 'action', E' \t\r\n') = '' THEN
        PERFORM refuse('invalid_event', '/action', 'is missing', 'An event says what was done: {"action": "user.login"}.');
    ELSIF lower(btrim(split_part(btrim(event ->> 'action', E' \t\r\n'), '.', 1), E' \t\r\n')) = 'sealog' THEN
        PERFORM refuse(
            'reserved_action', '/action', 'belongs to the log itself, as all actions under "sealog." do', 'Choose another.'
        );
    END IF;
    IF event ? 'resourceId' AND NOT event ? 'resourceType' THEN
        PERFORM refuse('invalid_event', '/resourceId', 'needs the resourceType that it is an id of', 'Send both.');
    END IF;
    RETURN event;
END
$$;

-- What is known of all events of this transaction, or of this session.
CREATE OR REPLACE FUNCTION context() RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(nullif(current_setting('sealog.context', true), '')::jsonb, '{}')
$$;

-- Says who acts, for all events that follow in this transaction, or with 'session' in this session. What an event
-- says itself goes before. NULL and {} forget it.
CREATE OR REPLACE FUNCTION set_context(context jsonb, reach text DEFAULT 'transaction') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    name text;
BEGIN
    IF reach NOT IN ('transaction', 'session') THEN
        PERFORM refuse('invalid_argument', '', format('%L is no reach of a context', reach), 'It is transaction or session.');
    END IF;
    IF context IS NOT NULL AND jsonb_typeof(context) <> 'object' THEN
        PERFORM refuse('invalid_argument', '', 'a context is a JSON object', 'Send {"actorId": "u-17"}.');
    END IF;
    SELECT key INTO name FROM jsonb_object_keys(context) AS key
    WHERE key NOT IN (
        'actorId', 'actorType', 'actorName', 'onBehalfOf', 'ipAddress', 'userAgent', 'sessionId', 'requestId', 'tenant',
        'retentionCategory', 'tags', 'metadata'
    )
    LIMIT 1;
    IF FOUND THEN
        PERFORM refuse(
            'invalid_argument', '/' || name, 'is no part of a context',
            'It holds actorId, actorType, actorName, onBehalfOf, ipAddress, userAgent, sessionId, requestId, tenant, '
            'retentionCategory, tags and metadata.'
        );
    END IF;
    context := checked(coalesce(context, '{}') || '{"action": "context"}') - 'action';
    PERFORM set_config('sealog.context', context::text, reach = 'transaction');
END
$$;

-- An event with what the context adds. Of metadata each member.
CREATE OR REPLACE FUNCTION in_context(event jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE
        WHEN known = '{}' THEN event
        WHEN known ? 'metadata' AND jsonb_typeof(event -> 'metadata') = 'object'
            THEN known || event || jsonb_build_object('metadata', (known -> 'metadata') || (event -> 'metadata'))
        ELSE known || event
    END
    FROM context() AS known;
END
$$;

-- Logs an event in this transaction: it is there if the transaction commits, and never was if it rolls back.
-- Answers its id, a UUIDv7 unless the event has one: sent again under its id, it is one event.
CREATE OR REPLACE FUNCTION log(event jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    sent jsonb := checked(event);
    event_id text;
BEGIN
    event := in_context(sent);
    IF event <> sent THEN
        event := checked(event);
    END IF;
    event := redacted(event);
    INSERT INTO inbox (id, event) VALUES (coalesce(event ->> 'id', new_id()), event::json) RETURNING id INTO event_id;
    RETURN event_id;
END
$$;

REVOKE ALL ON FUNCTION log(jsonb), set_context(jsonb, text) FROM PUBLIC;
