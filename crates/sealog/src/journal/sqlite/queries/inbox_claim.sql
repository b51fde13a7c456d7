INSERT INTO sealog_inbox_log (one, origin) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING
