"""maintenance: the database is migrated, and the ledger forgets what nobody needs any more."""
