INSERT INTO $schema.inbox (id, event, digest) VALUES ($1::text, $2::text::json, $3::text)
