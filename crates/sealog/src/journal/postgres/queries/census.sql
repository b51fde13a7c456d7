SELECT
    (SELECT count(*) FROM event),
    (SELECT count(*) FROM node),
    (SELECT count(*) FROM checkpoint WHERE size < 0)
