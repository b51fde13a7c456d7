SELECT id, seq, digest FROM event_id WHERE removed IS NOT NULL
