"""migrate: the tables and indexes that the bundle adds to a Mojodex database."""
