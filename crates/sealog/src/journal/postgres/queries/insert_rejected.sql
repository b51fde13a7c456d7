INSERT INTO rejected (id, rejected_at, code, reason, digest, copy)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (id, digest) DO NOTHING
