SELECT value FROM state WHERE name = 'secret'
