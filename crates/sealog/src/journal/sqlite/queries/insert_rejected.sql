INSERT INTO sealog_rejected (id, rejected_at, code, reason, digest, copy) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (id, digest) DO NOTHING
