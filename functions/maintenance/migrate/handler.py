"""Migrate the database: an operator invokes this function after each deployment.

`make migrate` does the same from a shell.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from maintenance.migrate.migration import migrate
from mojodex.database import DatabaseSettings
from mojodex.observability import logger
from mojodex.secrets import read_secret

settings = DatabaseSettings.from_environment()


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Migrate the database, and return the changes (see `migrate`). The event does not matter."""
    migrated = migrate(read_secret(settings.database_secret_arn))
    logger.info("migrated", extra={"migration": migrated})
    return migrated
