SELECT actor_id, count(*) FROM audit_log
WHERE timestamp >= ?1 AND timestamp < ?2 AND action >= ?3 AND action < ?4 AND actor_id IS NOT NULL
GROUP BY actor_id ORDER BY 2 DESC LIMIT 10
