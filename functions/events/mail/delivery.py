"""The e-mail channel: a mail goes out at most once.

SES cannot be told to send a mail only once, so the ledger must. Before the call the job is marked "sending",
in a transaction of its own; after it the message id, the `md_event` and the job's end are saved in another.

    killed before the mark   nothing was sent; the message is retried and the mail is sent
    killed after the mark    nobody knows whether SES took it; the next delivery of the message finds the mark
                             and ends the job as failed, with that reason, instead of sending a second mail
    killed after the save    the message is retried and answered without work

When SES says that it did not take the mail, the mark gives way to what was paid for, the model's words, and
the message is retried later.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from events.mail import mime, ses
from events.mail.mime import EmailSettings, Rendered
from events.mail.ses import NotKnownIfSentError
from mojodex import jobs
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import OPERATOR_SECONDS, TransientError
from mojodex.observability import count
from mojodex.schema import MdEvent

# A send is not begun with less time than this left, so that what SES answers is saved.
SECONDS_NEEDED = 15
# Between two tries to save what was sent.
PAUSE_SECONDS = 1


@dataclass(frozen=True)
class Mail:
    """A mail that is ready to go.

    Attributes:
        user_id, to_name, to_address: the user's.
        md_event_type: what Mojodex calls the event.
        unsubscribe_link: see `mime.unsubscribe_link`.
        rendered: what it says.
        outcome: what the ledger will say of it, without any words.
        kept: what the ledger keeps if SES does not take it now, so that it need not be paid for again.
    """

    user_id: str
    md_event_type: str
    to_name: str | None
    to_address: str
    unsubscribe_link: str | None
    rendered: Rendered
    outcome: dict[str, Any]
    kept: dict[str, Any] | None


def check_not_begun(job: jobs.Job) -> None:
    """Check that no earlier attempt may have sent the mail.

    Raises:
        NotKnownIfSentError: one may have.
    """
    if job.progress and "sending_since" in job.progress:
        raise NotKnownIfSentError("it is not known whether the mail was sent: the worker died while sending")


def deliver(
    database: Database, settings: EmailSettings, mail: Mail, job: jobs.Job, deadline: Deadline
) -> None:
    """Send a mail and end its job.

    Raises:
        TransientError: it was not sent; as `ses.send`, `Database.session`, `jobs.finish`.
        NotKnownIfSentError, PermanentError: as `mime.as_bytes`, `ses.send`.
    """
    now = utc_now()
    raw = mime.as_bytes(
        settings,
        mail.rendered,
        to_name=mail.to_name,
        to_address=mail.to_address,
        unsubscribe_link=mail.unsubscribe_link,
        now=now,
    )
    if deadline.seconds_left() < SECONDS_NEEDED:
        raise TransientError("too little time left to send", retry_after=1)
    database.with_db_session(jobs.save_progress, job, {"sending_since": now.isoformat()})
    try:
        message_id = ses.send(
            settings, raw, to_address=mail.to_address, job=f"{job.occasion}-{job.process}-{job.subject}"
        )
    except TransientError as error:
        if error.retry_after == OPERATOR_SECONDS:
            count("EmailsHeldBack")
        _patiently(partial(database.with_db_session, jobs.save_progress, job, mail.kept), deadline)
        raise
    _patiently(partial(database.with_db_session, _save, mail, job, message_id, utc_now()), deadline)
    count("EmailsSent")


def _patiently(write: Callable[[], None], deadline: Deadline) -> None:
    """Write what SES has said; a database that is away for a moment must not make it unknown."""
    while True:
        try:
            write()
        except jobs.LeaseLostError:
            raise
        except TransientError:
            if deadline.seconds_left() < PAUSE_SECONDS:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _save(session: Session, mail: Mail, job: jobs.Job, message_id: str, now: datetime) -> None:
    """Write the event and the end of the job: both, once, or nothing."""
    content = {"subject": mail.rendered.subject, "body": mail.rendered.text, "email": mail.to_address}
    session.add(
        MdEvent(event_type=mail.md_event_type, user_id=mail.user_id, message=content, creation_date=now)
    )
    jobs.finish(session, job, "done", {"ses_message_id": message_id, **mail.outcome}, now=now)
    session.commit()
