-- Of the ?3 checkpoints behind the ?1 newest: the key changes stay, and the first of each stretch of ?2
-- events.
DELETE FROM checkpoint
WHERE size IN (
    SELECT size FROM (
        SELECT size, lag(size) OVER (ORDER BY size) AS before
        FROM (SELECT size FROM checkpoint ORDER BY size DESC LIMIT ?3 OFFSET ?1)
    )
    WHERE before / ?2 = size / ?2 AND size NOT IN (SELECT since FROM signer)
)
