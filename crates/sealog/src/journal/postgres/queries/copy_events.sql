COPY event (seq, id, tree, digest, commitment, salt, body) FROM STDIN (FORMAT binary)
