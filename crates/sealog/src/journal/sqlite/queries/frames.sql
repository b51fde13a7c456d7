SELECT seq, count, commitments, salts, bodies FROM frame
WHERE seq >= coalesce((SELECT max(seq) FROM frame WHERE seq <= ?1), 0) AND seq < ?2 ORDER BY seq
