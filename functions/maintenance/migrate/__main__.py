"""Migrate from a shell, without Lambda's limit of 15 minutes. `make migrate` runs this file.

DATABASE_URL names the database. The connection uses verified TLS, as in the functions, except to a loopback
address. PGSSLROOTCERT may name a file with the CA certificates to trust, as for libpq.
"""

import json
import os
import sys
from pathlib import Path

from sqlalchemy import make_url

from maintenance.migrate.migration import migrate
from mojodex.runtime import is_loopback

if __name__ == "__main__":
    if not os.environ.get("DATABASE_URL"):
        sys.exit("DATABASE_URL is not set; for example postgresql://user:password@host:5432/mojodex")
    url = make_url(os.environ["DATABASE_URL"])
    secret = {
        "host": url.host or "localhost",
        "port": url.port or 5432,
        "username": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    if is_loopback(str(secret["host"])):
        secret["sslmode"] = "disable"
    if certificates := os.environ.get("PGSSLROOTCERT"):
        secret["sslrootcert"] = Path(certificates).read_text()
    json.dump(migrate(secret), sys.stdout, indent=2)
    sys.stdout.write("\n")
