INSERT INTO state (name, value) VALUES ('secret', ?1)
