"""`DATABASE_URL=postgresql+pg8000://… python -m migrate`: migrate from a shell; `make migrate` calls it."""

import os
import sys

from sqlalchemy import create_engine

from migrate.migration import migrate

if __name__ == "__main__":
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("DATABASE_URL is not set; for example postgresql+pg8000://user:password@host:5432/mojodex")
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        created = migrate(connection)
    sys.stdout.write(f"created: {', '.join(created) or 'nothing, all was there'}\n")
