SELECT id, seq, tree, digest, removed, CASE WHEN removed IS NULL THEN (body -> 'timestamp')::text END
FROM event WHERE id = ANY ($1)
