INSERT INTO sealog_inbox (id, event, digest, drained) VALUES (?1, ?2, nullif(?3, ''), nullif(?4, ''))
