SELECT origin FROM sealog_inbox_log
