DELETE FROM sealog_inbox
WHERE position <= ?1 AND position < (SELECT min(position) FROM sealog_inbox) + ?2
