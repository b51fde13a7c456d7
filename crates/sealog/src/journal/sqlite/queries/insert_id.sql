INSERT INTO event_id (id, seq, tree, digest) VALUES (?1, ?2, ?3, ?4)
