SELECT seq, tree, digest, removed FROM event_id WHERE id = ?1
