SELECT count(*) FROM state
