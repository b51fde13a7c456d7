SELECT number, copy FROM sealog_rejected WHERE copy IS NOT NULL ORDER BY number
