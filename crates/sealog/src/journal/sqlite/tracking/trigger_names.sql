SELECT name, sql FROM sqlite_schema
WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name LIKE 'sealog\_%' ESCAPE '\' ORDER BY name
