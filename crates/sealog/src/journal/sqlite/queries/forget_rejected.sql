UPDATE sealog_rejected SET copy = NULL WHERE number = ?1
