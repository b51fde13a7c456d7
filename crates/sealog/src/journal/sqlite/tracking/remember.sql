INSERT OR REPLACE INTO sealog_tracked (name, key, exclude, redact) VALUES (?1, ?2, ?3, ?4)
