INSERT INTO state (name, value) VALUES ('sampled', ?1) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
