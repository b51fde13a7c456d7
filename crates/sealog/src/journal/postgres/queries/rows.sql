SELECT seq, commitment, salt, body, exact FROM event WHERE seq >= $1 AND seq < $2 ORDER BY seq
