SELECT pg_advisory_xact_lock(hashtextextended('sealog journal ' || current_schema(), 0))
