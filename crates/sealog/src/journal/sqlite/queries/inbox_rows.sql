SELECT position, id, event, inserted_at, digest FROM sealog_inbox WHERE position > ?1 ORDER BY position LIMIT ?2
