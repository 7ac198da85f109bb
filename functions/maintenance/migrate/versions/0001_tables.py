"""Create the ledger and the tables for documents.

The bundle made the same tables before it used Alembic. Those tables and their rows stay as they are.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text())
