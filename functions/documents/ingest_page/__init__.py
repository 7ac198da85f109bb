"""ingest_page: turn a staged page into a document."""
