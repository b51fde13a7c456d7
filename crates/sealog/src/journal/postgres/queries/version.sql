SELECT coalesce((SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1), 0), coalesce((SELECT max(number) FROM rejected), 0)
