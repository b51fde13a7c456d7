INSERT INTO event (seq, commitment, salt, body) VALUES (?1, ?2, ?3, ?4)
