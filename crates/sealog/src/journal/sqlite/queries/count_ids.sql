SELECT count(*) FROM event_id
