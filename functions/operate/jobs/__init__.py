"""Jobs, for operators and backends: list, show, retry and cancel them."""
