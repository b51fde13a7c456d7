INSERT INTO state (name, value) SELECT * FROM unnest($1::text[], $2::bigint[])
