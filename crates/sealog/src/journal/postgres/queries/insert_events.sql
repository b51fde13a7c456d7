INSERT INTO event (seq, id, tree, digest, commitment, salt, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bytea[], $5::bytea[], $6::bytea[], $7::jsonb[])
