INSERT OR REPLACE INTO sealog_context (one, context) VALUES (1, ?1)
