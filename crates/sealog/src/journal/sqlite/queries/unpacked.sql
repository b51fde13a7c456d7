SELECT seq, commitment, salt, body FROM event ORDER BY seq LIMIT ?1
