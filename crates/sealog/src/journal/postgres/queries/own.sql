SELECT seq FROM own_event WHERE kind = $1 AND seq >= $2 ORDER BY seq
