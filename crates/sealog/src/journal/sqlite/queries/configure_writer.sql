PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
-- Where fsync alone does not reach the medium (macOS).
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA secure_delete = ON;
PRAGMA journal_size_limit = 4194304;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
