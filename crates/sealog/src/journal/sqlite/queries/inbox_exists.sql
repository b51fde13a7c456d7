SELECT count(*) FROM sqlite_schema WHERE name IN ('sealog_inbox', 'sealog_inbox_trim', 'sealog_inbox_log')
