INSERT INTO signer (since, vkey) VALUES ($1, $2)
