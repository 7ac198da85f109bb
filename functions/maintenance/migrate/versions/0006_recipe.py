"""Add a document's recipe, and when its page was fetched.

The columns have no default, so adding them takes a moment. A document without a recipe is renewed when its
page is read next.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("md_background_document", sa.Column("recipe", sa.Text()))
    op.add_column("md_background_document", sa.Column("fetched_at", sa.DateTime(timezone=True)))
    op.add_column("md_background_page", sa.Column("fetched_at", sa.DateTime(timezone=True)))
