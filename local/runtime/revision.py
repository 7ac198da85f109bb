"""Write the next version of the database, from what has changed in `mojodex.schema`.

`make migration` runs this file. It compares the models with an embedded PostgreSQL that was migrated with all
versions so far.
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
    """Write a file into `versions`, and print its path.

    Args:
        message: what the version does, as a sentence without a full stop.
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
        sys.exit('what does the version do? make migration MESSAGE="Add …"')
    write(sys.argv[1])
