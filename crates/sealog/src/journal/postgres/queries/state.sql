SELECT value FROM state WHERE name = $1 ORDER BY number DESC LIMIT 1
