INSERT INTO node (level, idx, hash) VALUES (?1, ?2, ?3)
