COMMENT ON FUNCTION log(jsonb) IS '$version'
