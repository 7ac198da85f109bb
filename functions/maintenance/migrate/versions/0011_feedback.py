"""Add the delivery of mails, mail blocks, and tokens of unsubscribe links."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "md_background_mail",
        sa.Column("message_id", sa.Text(), primary_key=True),
        sa.Column("user_id", sa.String(255)),
        sa.Column("address", sa.Text()),
        sa.Column("job", sa.Text()),
        sa.Column("sent_at", moment, nullable=False),
        sa.Column("delivered_at", moment),
        sa.Column("soft_bounced_at", moment),
        sa.Column("bounced_at", moment),
        sa.Column("complained_at", moment),
        sa.Column("rejected_at", moment),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
    )
    op.create_table(
        "md_background_mail_block",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("address", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment),
        sa.Column("lifted_at", moment),
        sa.Column("lifted_by", sa.Text()),
    )
    op.create_table(
        "md_background_mail_token",
        sa.Column("token_id", sa.Text(), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("made_at", moment, nullable=False),
    )
