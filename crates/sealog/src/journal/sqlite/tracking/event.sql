json_object(
        'action', $action, 'resourceType', $name, 'resourceId', nullif($id, ''), $states,
        'actorId', json_extract(context, '$.actorId'), 'actorType', json_extract(context, '$.actorType'),
        'actorName', json_extract(context, '$.actorName'), 'onBehalfOf', json_extract(context, '$.onBehalfOf'),
        'ipAddress', json_extract(context, '$.ipAddress'), 'userAgent', json_extract(context, '$.userAgent'),
        'sessionId', json_extract(context, '$.sessionId'), 'requestId', json_extract(context, '$.requestId'),
        'tenant', json_extract(context, '$.tenant'), 'metadata', json(json_extract(context, '$.metadata'))
    )
