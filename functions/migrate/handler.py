"""Migrate the database: invoked by hand or by the deployment; `make migrate` does the same from a shell."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import URL, create_engine

from migrate.migration import migrate
from mojodex.db import DatabaseSettings, connect_arguments
from mojodex.observability import logger
from mojodex.secrets import read_secret

settings = DatabaseSettings.from_environment()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    """The event does not matter. Answers with the names of what was created."""
    arguments = connect_arguments(read_secret(settings.database_secret_arn))
    # An index of a large table takes longer than any statement of the other functions may.
    arguments["timeout"] = None
    url = URL.create("postgresql+pg8000")
    with create_engine(url, isolation_level="AUTOCOMMIT", connect_args=arguments).connect() as connection:
        created = migrate(connection)
    logger.info("migrated", extra={"migration": created})
    return {"created": created}
