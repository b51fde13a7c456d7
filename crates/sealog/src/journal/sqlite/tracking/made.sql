SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('sealog_context', 'sealog_tracked', 'sealog_replaced')
