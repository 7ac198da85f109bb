"""Add jobs' users and failed attempts, and the audit of operators.

The columns have no default, so that adding them takes a moment.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("md_background_job", sa.Column("user_id", sa.String(255)))
    op.add_column("md_background_job", sa.Column("history", postgresql.JSONB()))
    op.add_column("md_background_job", sa.Column("retry_message", postgresql.JSONB()))
    # Each job leaves dead entries of "queued" and "running" in the indexes. By default they stay until a
    # fifth of the ledger has changed, and each count of waiting jobs reads them all.
    op.execute(
        "ALTER TABLE md_background_job"
        " SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)"
    )
    op.create_table(
        "md_background_paused_process",
        sa.Column("process", sa.String(64), primary_key=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "md_background_schedule_run",
        sa.Column("schedule", sa.String(64), primary_key=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "md_background_audit",
        sa.Column("audit_pk", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB()),
    )
    op.create_table(
        "md_background_refusal",
        sa.Column("address", sa.Text(), primary_key=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
    )
