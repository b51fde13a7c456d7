SELECT id, rejected_at, code, reason, digest, copy FROM sealog_rejected WHERE id = ?1 ORDER BY number LIMIT 1
