SELECT count(*) FROM sealog_rejected
