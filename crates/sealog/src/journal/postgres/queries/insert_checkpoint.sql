INSERT INTO checkpoint (size, frontier, note) VALUES ($1, $2, $3)
