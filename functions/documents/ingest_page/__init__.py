"""ingest_page: a staged page becomes a document."""
