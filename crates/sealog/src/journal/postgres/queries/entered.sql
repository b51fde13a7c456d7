SELECT id, seq, tree, removed FROM event WHERE id = ANY ($1)
