"""Addresses that get no mail, because mails bounced or the user complained."""

from mojodex import mail_ledger
from mojodex.clock import utc_now
from operate import audit, environment
from operate.problems import not_found


def lift(user_id: str, who: str) -> None:
    """Lift the block of a user's current address.

    Raises:
        Problem: 404, there is none.
        TransientError: as `Database.session`.
    """
    now = utc_now()
    with environment.database.session() as session:
        kind = mail_ledger.lift(session, user_id, who, now)
        if kind is None:
            raise not_found("block")
        audit.record(session, who, "lift mail block", user_id, now, {"kind": kind})
        session.commit()
