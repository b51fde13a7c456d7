-- The newest ones stay, and the key changes, and the first of each stretch of ?2 events.
DELETE FROM checkpoint
WHERE size IN (
    SELECT size FROM (
        SELECT size, lag(size) OVER (ORDER BY size) AS before FROM checkpoint
        WHERE size >= ?3 AND size <= (SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1 OFFSET ?1)
    )
    WHERE before / ?2 = size / ?2 AND size NOT IN (SELECT since FROM signer)
)
