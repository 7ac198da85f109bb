"""Migrate the database, redrive dead letters, and purge old rows."""
