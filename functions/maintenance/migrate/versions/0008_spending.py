"""Add the cost of models, by job and by process and day.

The column has no default, so that adding it takes a moment.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("md_background_job", sa.Column("spent", postgresql.JSONB()))
    op.create_table(
        "md_background_spending",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("process", sa.String(64), primary_key=True),
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("usd", sa.Float(), nullable=False),
    )
