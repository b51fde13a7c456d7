SELECT untrack(coalesce(to_regclass($1::text), to_regclass('public.' || $1::text)))
