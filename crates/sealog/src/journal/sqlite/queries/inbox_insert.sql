INSERT INTO sealog_inbox (id, event, digest, drained) VALUES (?1, ?2, ?3, nullif(?4, ''))
