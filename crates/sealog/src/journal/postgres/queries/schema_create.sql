CREATE SCHEMA IF NOT EXISTS $schema;
-- Which migrations have run.
CREATE TABLE migration (
    number     integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)
