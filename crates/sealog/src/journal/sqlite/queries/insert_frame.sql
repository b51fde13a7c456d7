INSERT INTO frame (seq, count, commitments, salts, bodies) VALUES (?1, ?2, ?3, ?4, ?5)
