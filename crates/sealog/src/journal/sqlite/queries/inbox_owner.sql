SELECT origin, inbox FROM sealog_inbox_log
