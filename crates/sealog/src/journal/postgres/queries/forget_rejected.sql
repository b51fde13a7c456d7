UPDATE rejected SET copy = NULL WHERE number = ANY ($1)
