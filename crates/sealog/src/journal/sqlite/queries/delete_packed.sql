DELETE FROM event WHERE seq >= ?1 AND seq < ?2
