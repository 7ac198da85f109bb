"""The e-mail channel: a mail goes out at most once.

SES cannot be told to send a mail only once, so the ledger must. Before the call the job is marked "sending",
in a transaction of its own, and whom the mail's link unsubscribes is remembered; after it the message id, the
`md_event` and the job's end are saved in another. SES may have told of the mail even before that.

    killed before the mark   nothing was sent; the message is retried and the mail is sent
    killed after the mark    nobody knows whether SES took it; the next delivery of the message finds the mark
                             and ends the job as failed, with that reason, instead of sending a second mail
    killed after the save    the message is retried and answered without work

When the mail was not sent, the mark gives way to what was paid for, the model's words, and the message is
retried later.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from events.mail import mime, ses
from events.mail.mime import EmailSettings, Rendered, Unsubscribe
from events.mail.ses import NotKnownIfSentError
from mojodex import feedback, jobs, mail_ledger, unsubscribing
from mojodex.circuit import Circuits
from mojodex.clock import Deadline, utc_now
from mojodex.database import Database
from mojodex.errors import OPERATOR_SECONDS, TransientError
from mojodex.observability import count
from mojodex.schema import BackgroundPause, MdEvent

# A send is not begun with less time than this left, so that what SES answers is saved.
SECONDS_NEEDED = 15
# Its circuit's name.
SES = "SES"
# While SES gives no answer, each probe may cost somebody their mail.
SECONDS_UNTIL_MAIL_AT_RISK = 300


@dataclass(frozen=True)
class Mail:
    """A mail that is ready to go.

    Attributes:
        user_id, to_name, to_address: the user's.
        md_event_type: what Mojodex calls the event.
        event_type: which event it is, as in its message.
        unsubscribe: see `mime.unsubscribe`.
        rendered: what it says.
        outcome: what the ledger will say of it, without any words.
        kept: what the ledger keeps if SES does not take it now, so that it need not be paid for again.
        paused_at: if it tells the user that no other comes until they give a sign of life: since when.
    """

    user_id: str
    md_event_type: str
    to_name: str | None
    to_address: str
    event_type: str
    unsubscribe: Unsubscribe | None
    rendered: Rendered
    outcome: dict[str, Any]
    kept: dict[str, Any] | None
    paused_at: datetime | None = None


def check_not_begun(job: jobs.Job) -> None:
    """Check that no earlier attempt may have sent the mail.

    Raises:
        NotKnownIfSentError: one may have.
    """
    if job.progress and "sending_since" in job.progress:
        raise NotKnownIfSentError("it is not known whether the mail was sent: the worker died while sending")


def deliver(
    database: Database,
    circuits: Circuits,
    settings: EmailSettings,
    mail: Mail,
    job: jobs.Job,
    deadline: Deadline,
) -> None:
    """Send a mail and end its job.

    Raises:
        TransientError: it was not sent; SES is away; as `ses.send`, `Database.session`, `jobs.finish`.
        NotKnownIfSentError, PermanentError: as `mime.as_bytes`, `ses.send`.
    """
    now = utc_now()
    raw = mime.as_bytes(
        settings,
        mail.rendered,
        to_name=mail.to_name,
        to_address=mail.to_address,
        unsubscribe_link=mail.unsubscribe.link if mail.unsubscribe else None,
        now=now,
    )
    with jobs.kept_until_saved(database, job, mail.kept, deadline):
        if not circuits.allows(SES):
            raise TransientError("SES is away: its circuit is open")
        if deadline.seconds_left() < SECONDS_NEEDED:
            raise TransientError("too little time left to send", retry_after=1)
        database.with_db_session(_mark, mail, job, now)
        message_id = _send(circuits, settings, mail, raw, job)
    # A database that is away for a moment must not make it unknown that the mail was sent.
    database.with_db_session_patiently(deadline, _save, mail, job, message_id, utc_now())
    count("EmailsSent")


def _mark(session: Session, mail: Mail, job: jobs.Job, now: datetime) -> None:
    """Mark the job as sending, and remember whom the mail's link unsubscribes. Commits."""
    if mail.unsubscribe and mail.unsubscribe.token_id:
        unsubscribing.remember(session, mail.unsubscribe.token_id, mail.user_id, mail.event_type, now)
    jobs.save_progress(session, job, {"sending_since": now.isoformat()})


def _tag(job: jobs.Job) -> str:
    """Return what SES's events will say which job the mail is of."""
    return ses.tag(f"{job.occasion}-{job.process}-{job.subject}")


def _send(circuits: Circuits, settings: EmailSettings, mail: Mail, raw: bytes, job: jobs.Job) -> str:
    """Send the mail, tell SES's circuit, and return SES's id of the message; raises as `ses.send`."""
    try:
        message_id = ses.send(settings, raw, to_address=mail.to_address, job=_tag(job))
    except TransientError as error:
        if error.retry_after == OPERATOR_SECONDS:
            count("EmailsHeldBack")
        if not isinstance(error, ses.ThrottledError):
            circuits.failed(SES, str(error))
        raise
    except NotKnownIfSentError as error:
        circuits.failed(SES, str(error), seconds_until_probe=SECONDS_UNTIL_MAIL_AT_RISK)
        raise
    circuits.succeeded(SES)
    return message_id


def _save(session: Session, mail: Mail, job: jobs.Job, message_id: str, now: datetime) -> None:
    """Write the event, the pause that it tells of, whose mail it is, and the end of the job, or nothing."""
    content = {"subject": mail.rendered.subject, "body": mail.rendered.text, "email": mail.to_address}
    session.add(
        MdEvent(event_type=mail.md_event_type, user_id=mail.user_id, message=content, creation_date=now)
    )
    sent = feedback.Mail(message_id, now, user_id=mail.user_id, address=mail.to_address, job=_tag(job))
    mail_ledger.record(session, [sent])
    outcome = {"ses_message_id": message_id, **mail.outcome}
    if mail.paused_at:
        pause = {"user_id": mail.user_id, "paused_at": mail.paused_at}
        told = insert(BackgroundPause).values(pause)
        session.execute(told.on_conflict_do_update(index_elements=["user_id"], set_=pause))
        outcome["pauses"] = True
    jobs.finish(session, job, "done", outcome, now=now)
    session.commit()
