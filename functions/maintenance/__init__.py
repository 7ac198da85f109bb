"""Migrate the database, and purge the rows of ours that nobody needs any more."""
