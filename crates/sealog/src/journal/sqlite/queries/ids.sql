SELECT id, seq, tree, digest, removed FROM event_id WHERE id >= ?1 AND id <= ?2 ORDER BY id
