"""Addresses that get no mail, because they bounced or their user has complained."""

from mojodex import mail_ledger
from mojodex.clock import utc_now
from operate import audit, environment
from operate.problems import not_found


def lift(user_id: str, who: str) -> None:
    """Lift what keeps a user's present address from getting mail.

    Raises:
        Problem: 404, nothing does.
        TransientError: as `Database.session`.
    """
    now = utc_now()
    with environment.database.session() as session:
        kind = mail_ledger.lift(session, user_id, who, now)
        if kind is None:
            raise not_found("block")
        audit.record(session, who, "lift mail block", user_id, now, {"kind": kind})
        session.commit()
