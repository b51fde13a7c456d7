SELECT since, vkey FROM signer ORDER BY since
