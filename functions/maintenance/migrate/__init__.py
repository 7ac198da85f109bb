"""Migrate a Mojodex database: add the tables and indexes that the bundle needs."""
