DELETE FROM sealog_context
