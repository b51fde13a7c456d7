-- A frame counts for one event at the least, so that a forged count hides none.
SELECT
    (SELECT count(*) FROM event_id),
    (SELECT count(*) FROM event) + (SELECT coalesce(sum(max(1, min(count, 1000000))), 0) FROM frame),
    (SELECT count(*) FROM node),
    (SELECT count(*) FROM checkpoint WHERE size < 0)
