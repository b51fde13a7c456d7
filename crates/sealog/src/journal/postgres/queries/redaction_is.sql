SELECT redaction() = $1::text::jsonb
