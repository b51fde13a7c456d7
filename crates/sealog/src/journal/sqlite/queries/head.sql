SELECT size, frontier, note, (SELECT vkey FROM signer ORDER BY since DESC LIMIT 1)
FROM checkpoint ORDER BY size DESC LIMIT 1
