SELECT bool_and(has_table_privilege(name::regclass, 'INSERT')) FROM unnest(ARRAY['event', 'node', 'checkpoint', 'state']) AS name
