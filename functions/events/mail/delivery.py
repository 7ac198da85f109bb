"""Send a mail at most once.

SES has no way to send only once, so the ledger decides. One transaction before the call marks the job as
sending and stores the token of the unsubscribe link. One after it saves the message id, the `md_event` and
the job's end. Feedback of SES may arrive even earlier.

    killed before the mark   nothing was sent; the message is retried, and the mail is sent
    killed after the mark    SES may have it; the next delivery finds the mark and fails the job
    killed after the save    the next delivery finds the job done

If SES did not take the mail, the model's words replace the mark, and the message is retried.
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

# Seconds that must be left before a send, so that SES's answer can be saved.
SECONDS_NEEDED = 15
# Name of its circuit.
SES = "SES"
# While SES gives no answer, each probe may lose a mail.
SECONDS_UNTIL_MAIL_AT_RISK = 300


@dataclass(frozen=True)
class Mail:
    """A mail that is ready to be sent.

    Attributes:
        user_id, to_name, to_address: the user's.
        md_event_type: Mojodex's name of the event.
        event_type: its name in the message.
        unsubscribe: see `mime.unsubscribe`.
        rendered: its subject and parts.
        outcome: of its job, without any user's words.
        kept: the model's words, which the ledger keeps if SES does not take the mail.
        paused_at: when the pause begins, if this mail announces one.
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
    """Check that no earlier attempt can have sent the mail.

    Raises:
        NotKnownIfSentError: one can.
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
        TransientError: it was not sent; SES is unavailable; as `ses.send`, `Database.session`, `jobs.finish`.
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
            raise TransientError("SES is unavailable: its circuit is open")
        if deadline.seconds_left() < SECONDS_NEEDED:
            raise TransientError("too little time left to send", retry_after=1)
        database.with_db_session(_mark, mail, job, now)
        message_id = _send(circuits, settings, mail, raw, job)
    # A short outage of the database must not lose the fact that the mail was sent.
    database.with_db_session_patiently(deadline, _save, mail, job, message_id, utc_now())
    count("EmailsSent")


def _mark(session: Session, mail: Mail, job: jobs.Job, now: datetime) -> None:
    """Mark the job as sending, and store the token of the unsubscribe link. Commits."""
    if mail.unsubscribe and mail.unsubscribe.token_id:
        unsubscribing.remember(session, mail.unsubscribe.token_id, mail.user_id, mail.event_type, now)
    jobs.save_progress(session, job, {"sending_since": now.isoformat()})


def _tag(job: jobs.Job) -> str:
    """Return the tag by which SES's events name the job."""
    return ses.tag(f"{job.occasion}-{job.process}-{job.subject}")


def _send(circuits: Circuits, settings: EmailSettings, mail: Mail, raw: bytes, job: jobs.Job) -> str:
    """Send the mail, report to SES's circuit, and return SES's message id; raises as `ses.send`."""
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
    """Save the event, its pause, the mail and the end of the job in one transaction."""
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
