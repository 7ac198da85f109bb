"""Add each job's message, and the unavailable providers.

The columns have no default, so that adding them takes a moment. Jobs that are under way get their values when
they are begun next.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("md_background_job", sa.Column("message_id", sa.Text()))
    op.add_column("md_background_job", sa.Column("message_expires_at", sa.DateTime(timezone=True)))
    op.create_table(
        "md_background_circuit",
        sa.Column("provider", sa.Text(), primary_key=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
