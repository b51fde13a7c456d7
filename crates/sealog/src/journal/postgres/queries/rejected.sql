SELECT id, rejected_at, code, reason, digest, copy FROM rejected ORDER BY number LIMIT $2 OFFSET $1
