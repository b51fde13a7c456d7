SELECT i.seq, c.name, c.coll
FROM pragma_index_list(?1) AS i JOIN pragma_index_xinfo(i.name) AS c
WHERE i."unique" AND NOT i.partial AND c.key
ORDER BY i.seq, c.seqno
