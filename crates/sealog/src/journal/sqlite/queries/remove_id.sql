-- What was removed in part before has its keyed hash for an id already.
UPDATE event_id SET id = iif(removed IS NULL, ?2, id), digest = NULL, removed = ?3 WHERE id = ?1
