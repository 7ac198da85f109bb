"""Add when a website is refreshed next, and its missing pages.

Websites of an earlier release are due at once: `now()` is one moment for all of them, so that adding the
column takes a moment, too. The schedule takes them a few at a time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("md_background_website", sa.Column("website_url", sa.Text()))
    op.add_column("md_background_website", sa.Column("scope", sa.Text()))
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "md_background_website",
        sa.Column("refresh_at", moment, nullable=False, server_default=sa.text("now()")),
    )
    op.add_column("md_background_document", sa.Column("depth", sa.Integer()))
    op.add_column("md_background_document", sa.Column("missing_since", moment))
    op.add_column("md_background_document", sa.Column("gone_at", moment))
    op.add_column("md_background_page", sa.Column("document_fk", sa.Integer()))
    op.add_column("md_background_page", sa.Column("change", sa.Text()))
