"""Add the page that keeps a website's boilerplate.

Websites of an earlier release get theirs when they are read next.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("md_background_website", sa.Column("first_page", sa.Text()))
