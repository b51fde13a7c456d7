SELECT count(*) FROM rejected
