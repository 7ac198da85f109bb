"""Add the pauses of daily mails."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "md_background_pause",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
    )
