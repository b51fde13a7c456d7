COPY event (seq, id, tree, digest, commitment, salt, body, exact) FROM STDIN (FORMAT binary)
