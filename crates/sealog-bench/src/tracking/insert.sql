INSERT INTO $table (id, name, email, city, visits, active, note)
SELECT id, 'name ' || id, 'e' || id || '@example.com', 'Berlin', 0, true, 'a note of some words about it'
FROM generate_series($from, $to) AS id
