SELECT id, rejected_at, code, reason, digest, copy FROM rejected
WHERE id = $1 AND digest = coalesce($2, digest) ORDER BY number DESC LIMIT 1
