UPDATE event
SET id = CASE WHEN event.removed IS NULL THEN rewritten.removed_id ELSE event.id END,
    digest = NULL,
    removed = rewritten.at,
    salt = rewritten.salt,
    body = rewritten.body
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::jsonb[])
    AS rewritten (seq, id, removed_id, at, salt, body)
WHERE event.seq = rewritten.seq AND event.id = rewritten.id
