-- Of the checkpoints from $2 on that are behind the $1 newest: the key changes stay, and the first of each stretch
-- of $3 events. What was thinned before is not looked at again, since an old snapshot may keep the rows.
WITH behind AS MATERIALIZED (
    SELECT size FROM checkpoint
    WHERE size >= $2 AND size < (SELECT min(size) FROM (SELECT size FROM checkpoint ORDER BY size DESC LIMIT $1) newest)
), superfluous AS (
    SELECT size FROM (SELECT size, lag(size) OVER (ORDER BY size) AS before FROM behind) AS pairs
    WHERE before / $3 = size / $3 AND size NOT IN (SELECT since FROM signer)
), thinned AS (
    DELETE FROM checkpoint WHERE size IN (SELECT size FROM superfluous)
)
SELECT max(size) FROM behind
