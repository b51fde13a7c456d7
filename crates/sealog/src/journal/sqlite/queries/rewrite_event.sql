UPDATE event SET salt = ?2, body = ?3 WHERE seq = ?1
