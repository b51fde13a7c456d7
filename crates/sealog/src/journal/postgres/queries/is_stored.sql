SELECT EXISTS (SELECT FROM event WHERE seq = $1 AND commitment = $2)
