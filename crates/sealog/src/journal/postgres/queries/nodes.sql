SELECT idx, hash FROM node WHERE level = $1 AND idx >= $2 AND idx < $3 ORDER BY idx
