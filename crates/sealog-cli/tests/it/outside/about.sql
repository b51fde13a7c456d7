SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'sealog.report'
