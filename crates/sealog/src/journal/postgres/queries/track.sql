SELECT track(coalesce(to_regclass($1::text), to_regclass('public.' || $1::text)), nullif($2::text[], '{}'), $3::text[], $4::text[])
