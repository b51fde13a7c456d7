INSERT INTO sealog_inbox (id, event, digest, drained, inbox) VALUES (?1, ?2, ?3, nullif(?4, ''), nullif(?5, ''))
