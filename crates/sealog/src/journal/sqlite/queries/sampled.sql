SELECT coalesce((SELECT value FROM state WHERE name = 'sampled'), 0)
