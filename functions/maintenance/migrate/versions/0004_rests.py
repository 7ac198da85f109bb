"""Add the rests of hosts, and the refusals of pages.

The columns have no default, so that adding them takes a moment.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("md_background_host_slot", sa.Column("rests_until", sa.DateTime(timezone=True)))
    op.add_column("md_background_host_slot", sa.Column("pauses", sa.Integer()))
    op.add_column("md_background_host_slot", sa.Column("origin", sa.Text()))
    op.add_column("md_background_host_slot", sa.Column("robots", sa.LargeBinary()))
    op.add_column("md_background_page", sa.Column("refusals", sa.Integer()))
