SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sealog_inbox'), 0)
