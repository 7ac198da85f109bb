"""Write the next migration of the database from the changes in `mojodex.schema`.

`make migration` runs this file. It compares the models with an embedded PostgreSQL to which all migrations so
far were applied.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from local.runtime import postgres
from maintenance.migrate.migration import alembic_config, migrate


def write(message: str) -> None:
    """Write a migration into `versions`, and print its path.

    Args:
        message: its purpose, as a sentence without a full stop.
    """
    with tempfile.TemporaryDirectory() as made:
        database = postgres.start(Path(made))
        try:
            postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)
            migrate(database.secret())
            with create_engine(database.url, poolclass=NullPool).connect() as connection:
                config = alembic_config(connection)
                latest = ScriptDirectory.from_config(config).get_current_head() or "0"
                command.revision(config, message, autogenerate=True, rev_id=f"{int(latest) + 1:04}")
        finally:
            postgres.stop(Path(made))


if __name__ == "__main__":
    if not sys.argv[1:] or not sys.argv[1]:
        sys.exit('name the change: make migration MESSAGE="Add …"')
    write(sys.argv[1])
