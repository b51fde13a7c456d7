INSERT INTO own_event (kind, seq) SELECT * FROM unnest($1::smallint[], $2::bigint[])
