DELETE FROM drained WHERE number < (SELECT max(number) FROM drained)
