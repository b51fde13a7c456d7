INSERT INTO drained (cluster, seen, round, position) VALUES ($1, $2::text::pg_snapshot, $3::text::pg_snapshot, $4)
