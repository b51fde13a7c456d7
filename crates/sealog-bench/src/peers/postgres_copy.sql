COPY audit_log FROM STDIN (FORMAT binary)
