"""purge: the ledger forgets what nobody needs any more."""
