-- A time-out while standbys are waited for would let the commit pass without them.
SET LOCAL statement_timeout TO 0; COMMIT
