SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1
