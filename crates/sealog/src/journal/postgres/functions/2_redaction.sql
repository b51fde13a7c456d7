-- Redaction in the database: what the policy hides is hidden before a row of the inbox is written. The rules are those
-- of `redaction()`, a function that set_redaction() makes from the log's policy. Where SQL cannot do as the library does
-- it hides more: a hash takes the log's key, which is not in the database, so [REDACTED] stands in its place.

-- A name as the rules compare it: lower case, without _ and -. What lower case is beyond ASCII is a collation's to say.
DO $do$
DECLARE
    folding text := (
        SELECT quote_ident(collname) FROM pg_collation
        WHERE collname IN ('und-x-icu', 'pg_unicode_fast', 'pg_c_utf8') AND collencoding IN (-1, 6)
        ORDER BY collname = 'und-x-icu' DESC, collname = 'pg_unicode_fast' DESC
        LIMIT 1
    );
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION normalized(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $f$
        BEGIN
            RETURN CASE WHEN name ~ ''^[a-z0-9]*$'' THEN name ELSE lower(translate(name, ''_-'', '''')%s) END;
        END $f$',
        ' COLLATE ' || folding
    );
END
$do$;

-- Whether a text has the exact form of a hidden value.
CREATE OR REPLACE FUNCTION is_hidden(value text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN value ~ '^(\[REDACTED\]|\*{4}(.{4})?|hmac:[0-9a-f]{64})$';
END
$$;

-- What stands for a value.
CREATE OR REPLACE FUNCTION hidden(mode text, value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE
        WHEN mode IN ('mask', 'hash') AND jsonb_typeof(value) = 'string' AND is_hidden(value #>> '{}') THEN value
        WHEN mode = 'mask' AND jsonb_typeof(value) IN ('string', 'number') THEN to_jsonb(
            '****' || CASE WHEN length(value #>> '{}') > 4 THEN right(value #>> '{}', 4) ELSE '' END
        )
        ELSE '"[REDACTED]"'
    END;
END
$$;

-- Of two ways to hide a value the one that leaves less.
CREATE OR REPLACE FUNCTION stronger(a text, b text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE
        WHEN array_position('{mask,hash,redact,remove}', a) >= coalesce(array_position('{mask,hash,redact,remove}', b), 0) THEN a
        ELSE coalesce(b, a)
    END;
END
$$;

-- Follows the rules by path to a member, or to an element where `element` says so: `at` holds the places that they
-- have been followed to, each a part of the tree of rules and whether it went on into an array without naming an element.
CREATE OR REPLACE FUNCTION follow(at jsonb, name text, element boolean, OUT mode text, OUT inner_at jsonb)
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    place jsonb;
    child jsonb;
BEGIN
    inner_at := '[]';
    FOR place IN SELECT * FROM jsonb_array_elements(at) LOOP
        FOR child IN
            SELECT place #> ARRAY['node', CASE WHEN element THEN 'elements' ELSE 'members' END, name]
            WHERE NOT (element AND (place -> 'inside')::boolean)
            UNION ALL
            SELECT place #> '{node,any}' WHERE NOT (place -> 'inside')::boolean
        LOOP
            IF child IS NOT NULL THEN
                mode := stronger(mode, child ->> 'mode');
                inner_at := inner_at || jsonb_build_object('node', child, 'inside', false);
            END IF;
        END LOOP;
        IF element THEN
            inner_at := inner_at || jsonb_build_object('node', place -> 'node', 'inside', true);
        END IF;
    END LOOP;
END
$$;

-- What the rules leave of a document. `at` is where the rules by path begin: the places in rules -> 'metadata',
-- rules -> 'before' or rules -> 'after'.
CREATE OR REPLACE FUNCTION hide(value jsonb, rules jsonb, at jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result jsonb;
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'object' THEN
            SELECT jsonb_object_agg(
                shown || CASE WHEN number > 1 THEN '#' || number ELSE '' END,
                CASE WHEN way IS NULL THEN hide(inner_value, rules, inner_at) ELSE hidden(way, inner_value) END
            )
            INTO result
            FROM (
                SELECT
                    shown, member.value AS inner_value, step.inner_at, way,
                    -- Where two names become the same, no value is lost.
                    CASE WHEN shown <> member.key THEN row_number() OVER (PARTITION BY shown ORDER BY shown <> member.key, member.key) END AS number
                FROM jsonb_each(value) AS member,
                    coalesce(cleaned(member.key, rules), member.key) AS shown,
                    follow(at, normalized(member.key), false) AS step,
                    stronger(
                        coalesce(step.mode, rules -> 'names' ->> normalized(member.key)), rules -> 'names' ->> normalized(shown)
                    ) AS way
                WHERE way IS DISTINCT FROM 'remove'
            ) AS members;
            RETURN coalesce(result, '{}');
        WHEN 'array' THEN
            SELECT jsonb_agg(
                CASE WHEN step.mode IS NULL THEN hide(item.value, rules, step.inner_at) ELSE hidden(step.mode, item.value) END
                ORDER BY item.number
            )
            INTO result
            FROM jsonb_array_elements(value) WITH ORDINALITY AS item (value, number),
                follow(at, (item.number - 1)::text, true) AS step;
            RETURN coalesce(result, '[]');
        WHEN 'string' THEN
            RETURN coalesce(to_jsonb(cleaned(value #>> '{}', rules)), value);
        WHEN 'number' THEN
            RETURN CASE
                WHEN rules -> 'detectors' ? 'cardNumber' AND value::text ~ '^[0-9]{13,19}(\.0*)?$'
                    AND cleaned(split_part(value::text, '.', 1), rules) IS NOT NULL
                    THEN hidden(rules ->> 'detectorMode', value)
                ELSE value
            END;
        ELSE
            RETURN value;
    END CASE;
END
$$;

-- Whether digits are those of a payment card: a right check digit (Luhn), and a first digit that card networks use.
CREATE OR REPLACE FUNCTION is_card(digits text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT (digits ~ '^[3-6]' OR left(digits, 4)::integer BETWEEN 2221 AND 2720) AND sum(
        CASE WHEN (length(digits) - place) % 2 = 0 THEN digit WHEN digit > 4 THEN 2 * digit - 9 ELSE 2 * digit END
    ) % 10 = 0
    FROM (
        SELECT place, substr(digits, place, 1)::integer AS digit FROM generate_series(1, length(digits)) AS place
    ) AS each_digit
$$;

-- A text without what the detectors find, or NULL where they find nothing. The expressions find all that the library
-- finds, and some more.
CREATE OR REPLACE FUNCTION cleaned(value text, rules jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    detector text;
    expression text;
    found text;
    digits text;
    result text := value;
BEGIN
    IF rules -> 'detectors' IS NULL THEN
        RETURN NULL;
    END IF;
    FOR detector, expression IN
        SELECT * FROM (VALUES
            ('jwt', '(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{11,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){0,2}'),
            ('bearerToken', '(?<=[Bb][Ee][Aa][Rr][Ee][Rr][ \t]+)[A-Za-z0-9._~+/=-]{8,}'),
            ('cloudKeyId', '(?<![A-Za-z0-9])(?:A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|GOOG1[A-Z0-9]{15,61}'
                '|LTAI[A-Za-z0-9]{12,26}|AKID[A-Za-z0-9]{32}|do[opr]_v1_[0-9a-f]{64})(?![A-Za-z0-9])'),
            ('cardNumber', '(?<![A-Za-z0-9])[0-9](?:[ -]?[0-9]){12,}'),
            ('email', '[A-Za-z0-9._%+''\u0080-\U0010FFFF-]+@[A-Za-z0-9\u0080-\U0010FFFF-]+(?:\.[A-Za-z0-9\u0080-\U0010FFFF-]+)+')
        ) AS all_of_them (detector, expression)
        WHERE rules -> 'detectors' ? all_of_them.detector
    LOOP
        FOR found IN SELECT DISTINCT (regexp_matches(result, '(' || expression || ')', 'g'))[1] LOOP
            CONTINUE WHEN is_hidden(found);
            digits := regexp_replace(found, '[ -]', '', 'g');
            CONTINUE WHEN detector = 'cardNumber' AND NOT EXISTS (
                SELECT FROM generate_series(1, length(digits) - 12) AS first, generate_series(13, 19) AS size
                WHERE first + size - 1 <= length(digits) AND is_card(substr(digits, first, size))
            );
            result := replace(result, found, CASE rules ->> 'detectorMode'
                WHEN 'remove' THEN '' ELSE hidden(rules ->> 'detectorMode', to_jsonb(found)) #>> '{}'
            END);
        END LOOP;
    END LOOP;
    RETURN nullif(result, value);
END
$$;

-- The network of each address in the field ipAddress; what looks like an address and is none is hidden.
CREATE OR REPLACE FUNCTION reduced_address(policy text, value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    part text;
    address inet;
    parts text[] := '{}';
BEGIN
    FOREACH part IN ARRAY regexp_split_to_array(value, '\s*,\s*') LOOP
        part := btrim(part);
        address := NULL;
        BEGIN
            address := regexp_replace(
                CASE
                    WHEN part LIKE '[%' THEN substr(split_part(part, ']', 1), 2)
                    WHEN part ~ '^[0-9.]+:[0-9]*$' THEN split_part(part, ':', 1)
                    ELSE part
                END,
                '[%/].*$', ''
            )::inet;
        EXCEPTION WHEN invalid_text_representation THEN
            NULL;
        END;
        IF address IS NOT NULL AND family(address) = 6 AND address << '::ffff:0:0/96' THEN
            address := regexp_replace(host(address), '^.*:', '')::inet;
        END IF;
        parts := parts || CASE
            WHEN is_hidden(part) THEN part
            WHEN address IS NOT NULL AND policy = 'truncate'
                THEN host(network(set_masklen(address, CASE family(address) WHEN 4 THEN 24 ELSE 48 END)))
            WHEN address IS NOT NULL OR part ~ '^[0-9.]*[0-9][0-9.]*$' OR part ~ '^[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*$'
                THEN '[REDACTED]'
            ELSE part
        END;
    END LOOP;
    value := array_to_string(parts, ', ');
    RETURN CASE WHEN octet_length(value) > 1024 THEN '[REDACTED]' ELSE value END;
END
$$;

-- The event's own text fields, as the rules by name leave them.
CREATE OR REPLACE FUNCTION fields_hidden(event jsonb, rules jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    name text;
    mode text;
BEGIN
    FOREACH name IN ARRAY
        '{actorId,actorName,onBehalfOf,resourceId,ipAddress,userAgent,sessionId,requestId,tags}'::text[]
    LOOP
        mode := rules -> 'names' ->> lower(name);
        CONTINUE WHEN mode IS NULL OR NOT event ? name;
        IF mode = 'remove' THEN
            event := event - name;
        ELSIF name = 'tags' THEN
            event := event || jsonb_build_object('tags', (
                SELECT jsonb_agg(hidden(mode, tag)) FROM jsonb_array_elements(event -> 'tags') AS tag
            ));
        ELSE
            event := event || jsonb_build_object(name, hidden(mode, event -> name));
        END IF;
    END LOOP;
    IF rules ->> 'ipAddress' <> 'keep' AND event ? 'ipAddress' THEN
        event := event || jsonb_build_object('ipAddress', reduced_address(rules ->> 'ipAddress', event ->> 'ipAddress'));
    END IF;
    RETURN event;
END
$$;

-- Where two states differ and what is left of them does not: no diff would tell.
CREATE OR REPLACE FUNCTION changed_unseen(before jsonb, after jsonb, left_before jsonb, left_after jsonb, path text)
RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    name text;
    number integer;
BEGIN
    IF before IS NOT DISTINCT FROM after THEN
        RETURN;
    ELSIF jsonb_typeof(before) = 'object' AND jsonb_typeof(after) = 'object'
        AND jsonb_typeof(left_before) = 'object' AND jsonb_typeof(left_after) = 'object'
    THEN
        FOR name IN SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(after) LOOP
            RETURN QUERY SELECT changed_unseen(
                before -> name, after -> name, left_before -> name, left_after -> name,
                path || '/' || replace(replace(name, '~', '~0'), '/', '~1')
            );
        END LOOP;
    ELSIF jsonb_typeof(before) = 'array' AND jsonb_typeof(after) = 'array'
        AND jsonb_array_length(before) = jsonb_array_length(after)
        AND jsonb_typeof(left_before) = 'array' AND jsonb_typeof(left_after) = 'array'
    THEN
        FOR number IN 0 .. jsonb_array_length(before) - 1 LOOP
            RETURN QUERY SELECT changed_unseen(
                before -> number, after -> number, left_before -> number, left_after -> number, path || '/' || number
            );
        END LOOP;
    ELSIF left_before IS NOT DISTINCT FROM left_after THEN
        RETURN NEXT path;
    END IF;
END
$$;

-- An event with its states as they are left, and with the pointers to what changed and can no longer be seen.
CREATE OR REPLACE FUNCTION with_states(event jsonb, before jsonb, after jsonb, left_before jsonb, left_after jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    pointers jsonb;
BEGIN
    IF left_before IS NOT NULL THEN
        event := event || jsonb_build_object('before', left_before);
    END IF;
    IF left_after IS NOT NULL THEN
        event := event || jsonb_build_object('after', left_after);
    END IF;
    IF before IS NOT NULL AND after IS NOT NULL AND (before <> left_before OR after <> left_after) THEN
        SELECT jsonb_agg(pointer ORDER BY pointer) INTO pointers
        FROM changed_unseen(before, after, left_before, left_after, '') AS pointer;
        IF pointers IS NOT NULL THEN
            pointers := pointers || coalesce(event -> 'changed', '[]');
            event := event || jsonb_build_object('changed', CASE
                WHEN jsonb_array_length(pointers) > 1024 OR octet_length(pointers::text) > 256 * 1024 THEN '[""]'
                ELSE pointers
            END);
        END IF;
    END IF;
    RETURN event;
END
$$;

-- Pointers end where something is hidden: below it even names are.
CREATE OR REPLACE FUNCTION visible(pointer text, rules jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    segment text;
    shown text := '';
    before_at jsonb := rules -> 'before';
    after_at jsonb := rules -> 'after';
    name text;
    is_index boolean;
    mode text;
BEGIN
    FOREACH segment IN ARRAY (string_to_array(pointer, '/'))[2:] LOOP
        shown := shown || '/' || segment;
        name := normalized(replace(replace(segment, '~1', '/'), '~0', '~'));
        is_index := segment ~ '^([0-9]+|-)$';
        SELECT
            stronger(stronger(b.mode, a.mode), CASE WHEN is_index THEN stronger(be.mode, ae.mode) END),
            b.inner_at || CASE WHEN is_index THEN be.inner_at ELSE '[]' END,
            a.inner_at || CASE WHEN is_index THEN ae.inner_at ELSE '[]' END
        INTO mode, before_at, after_at
        FROM follow(before_at, name, false) AS b, follow(after_at, name, false) AS a,
            follow(before_at, name, true) AS be, follow(after_at, name, true) AS ae;
        IF coalesce(mode, rules -> 'names' ->> name) IS NOT NULL THEN
            RETURN shown;
        END IF;
    END LOOP;
    RETURN pointer;
END
$$;

-- An event as the policy leaves it.
CREATE OR REPLACE FUNCTION redacted(event jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    rules jsonb := redaction();
BEGIN
    event := fields_hidden(event, rules);
    IF event ? 'metadata' THEN
        event := event || jsonb_build_object('metadata', hide(event -> 'metadata', rules, rules -> 'metadata'));
    END IF;
    IF event ? 'changed' THEN
        event := event || jsonb_build_object('changed', (
            SELECT coalesce(jsonb_agg(DISTINCT visible(pointer, rules)), '[]')
            FROM jsonb_array_elements_text(event -> 'changed') AS pointer
        ));
    END IF;
    IF event ? 'before' OR event ? 'after' THEN
        event := with_states(
            event, event -> 'before', event -> 'after',
            hide(event -> 'before', rules, rules -> 'before'), hide(event -> 'after', rules, rules -> 'after')
        );
    END IF;
    RETURN event;
END
$$;
