UPDATE frame SET salts = ?2, bodies = ?3 WHERE seq = ?1
