"""Configure Alembic. Alembic runs this file for each of its commands; see `migration`."""

from typing import Any

from alembic import context

from maintenance.migrate.migration import VERSION_TABLE
from mojodex.schema import Base


def _is_compared(item: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Tell whether Alembic compares an item of the database with the models.

    Our tables are compared in full. Of Mojodex's tables, only our indexes are.
    """
    if kind == "table":
        return item.name in Base.metadata.tables or item.name.startswith("md_background_")
    is_our_index = kind == "index" and str(name).startswith("mojodex_background_")
    return is_our_index or item.table.name.startswith("md_background_")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=_is_compared,
    compare_server_default=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
