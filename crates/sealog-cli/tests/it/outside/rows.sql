SELECT * REPLACE (epoch_ms("timestamp") AS "timestamp", epoch_ms("recordedAt") AS "recordedAt") FROM read_parquet(?)
