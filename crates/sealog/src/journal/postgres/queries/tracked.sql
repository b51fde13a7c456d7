SELECT "table"::text, key, exclude, redact FROM tracked()
