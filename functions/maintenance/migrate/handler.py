"""Migrate the database: invoked by hand or by the deployment; `make migrate` does the same from a shell."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from maintenance.migrate.migration import migrate_database
from mojodex.database import DatabaseSettings
from mojodex.observability import logger
from mojodex.secrets import read_secret

settings = DatabaseSettings.from_environment()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, list[str]]:
    """The event does not matter. Answers with the names of what was created."""
    created = migrate_database(read_secret(settings.database_secret_arn))
    logger.info("migrated", extra={"migration": created})
    return {"created": created}
