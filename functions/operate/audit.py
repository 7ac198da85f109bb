"""The audit log: one row for each operator's change, written in the transaction of the change."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mojodex.observability import logger
from mojodex.schema import BackgroundAudit


def record(
    session: Session, who: str, action: str, target: str, now: datetime, details: dict[str, Any] | None = None
) -> None:
    """Record a change. Does not commit.

    Args:
        session: that of the change.
        who: name of the credential.
        action: such as "retry".
        target: what changed: a job's id, a process, a user.
        now: the present moment (aware).
        details: more facts, without a user's words.
    """
    session.add(BackgroundAudit(at=now, who=who, action=action, target=target, details=details))
    logger.info("operator's change", extra={"who": who, "action": action, "target": target})
