INSERT INTO sealog_inbox_log (one, origin, inbox) VALUES (1, ?1, ?2) ON CONFLICT (one) DO NOTHING
