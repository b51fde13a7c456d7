SELECT
    size, frontier, note,
    (SELECT vkey FROM signer ORDER BY since DESC LIMIT 1),
    (SELECT max(seq) FROM own_event WHERE kind = 0),
    (SELECT max(seq) FROM own_event WHERE kind = 2),
    (SELECT max(number) FROM migration)
FROM checkpoint ORDER BY size DESC LIMIT 1
