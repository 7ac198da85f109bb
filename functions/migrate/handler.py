"""Migrate the database: invoked by hand, or by the deployment (`make migrate` does the same from a shell)."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from migrate.migration import migrate
from mojodex.db import DatabaseSettings, engine
from mojodex.observability import logger

settings = DatabaseSettings.from_environment()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    """The event does not matter. Answers with the names of what was created."""
    with engine(settings).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        created = migrate(connection)
    logger.info("migrated", extra={"migration": created})
    return {"created": created}
