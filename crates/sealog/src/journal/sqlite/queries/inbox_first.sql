SELECT min(position) FROM sealog_inbox
