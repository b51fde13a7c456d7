SELECT obj_description(to_regprocedure('log(jsonb)'), 'pg_proc')
