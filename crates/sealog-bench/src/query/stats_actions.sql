SELECT action, count(*) FROM audit_log
WHERE timestamp >= ?1 AND timestamp < ?2 AND action >= ?3 AND action < ?4
GROUP BY action ORDER BY 2 DESC LIMIT 10
