INSERT INTO sealog.inbox (event)
SELECT json_build_object(
    'action', 'record.updated', 'actorId', 'usr_' || number % 1000, 'resourceType', 'invoice',
    'resourceId', 'inv_' || number % 50000, 'severity', 'info', 'metadata', json_build_object('attempt', number % 3)
)
FROM generate_series($1::bigint, $2::bigint) AS number
