SELECT coalesce(sum(value), 0)::bigint FROM state WHERE name = 'sampled'
