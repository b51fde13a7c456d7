SELECT seq, tree, digest FROM event_id WHERE id = ?1
