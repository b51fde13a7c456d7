-- One row for each name instead of many.
WITH old AS (
    DELETE FROM state WHERE name <> 'secret' RETURNING number, name, value
), sampled AS (
    INSERT INTO state (name, value) SELECT 'sampled', sum(value) FROM old WHERE name = 'sampled' HAVING count(*) > 0
)
INSERT INTO state (name, value)
SELECT DISTINCT ON (name) name, value FROM old WHERE name <> 'sampled' ORDER BY name, number DESC
