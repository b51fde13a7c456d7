SELECT set_redaction($1::text::jsonb)
