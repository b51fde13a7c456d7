DELETE FROM sealog_tracked WHERE name = ?1
