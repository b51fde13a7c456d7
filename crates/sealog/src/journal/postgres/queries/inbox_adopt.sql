-- The database was restored into another cluster, where transactions are numbered anew.
UPDATE inbox SET xid = '3'
