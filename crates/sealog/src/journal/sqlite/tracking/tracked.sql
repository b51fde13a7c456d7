SELECT t.name, key, exclude, redact
FROM sealog_tracked AS t
WHERE EXISTS (SELECT 1 FROM sqlite_schema AS s WHERE s.type = 'trigger' AND s.tbl_name = t.name COLLATE NOCASE AND s.name LIKE 'sealog\_%' ESCAPE '\')
ORDER BY t.name
