SELECT seq, digest IS NULL AND id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
FROM event WHERE removed IS NOT NULL
