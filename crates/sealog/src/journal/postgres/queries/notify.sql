SELECT pg_notify(current_schema(), '')
