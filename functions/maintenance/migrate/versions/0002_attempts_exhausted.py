"""Mark the failed jobs whose attempts were used up.

Until now, only the first words of the reason said so. One statement is enough: it reads the ledger once,
which the purge keeps to 30 days, and it locks only the few rows that it changes.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        UPDATE md_background_job
        SET outcome = outcome || jsonb_build_object('attempts_exhausted', true)
        WHERE state = 'failed' AND starts_with(outcome ->> 'reason', 'gave up')
        """
    )
