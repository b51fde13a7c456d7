INSERT INTO own_event (kind, seq) VALUES (?1, ?2)
