"""Turn an event of SES into facts about its mail, without any words of the remote server."""

import re
from dataclasses import replace

from mail_feedback.message import Bounce, Complaint, Delivery, Reject, SesEvent
from mojodex.errors import InvalidMessageError
from mojodex.feedback import Mail

# RFC 3463. The server's text after it may contain the address.
STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
NOT_IN_REASON = re.compile("[^A-Za-z0-9 -]")
LONGEST_WORD = 40
# RFC 6591: the recipient reports that the mail is not spam.
NOT_SPAM = "not-spam"


def receipt(event: SesEvent, configuration_set: str) -> Mail:
    """Return the facts of an event about its mail.

    Args:
        event: of SES.
        configuration_set: name of our own.

    Raises:
        InvalidMessageError: the mail is not ours.
    """
    detail = event.detail
    if configuration_set not in detail.mail.tags.get("ses:configuration-set", []):
        raise InvalidMessageError("the mail is of another configuration set")
    job = next(iter(detail.mail.tags.get("job", [])), "")
    mail = Mail(detail.mail.message_id, detail.mail.timestamp, job=job.replace("\0", "") or None)
    match detail:
        case Delivery():
            return replace(mail, delivered_at=detail.delivery.timestamp)
        case Bounce():
            return _bounced(mail, detail)
        case Complaint():
            return _complained(mail, detail)
        case Reject():
            # SES gives no time of a rejection, which is immediate.
            return replace(mail, rejected_at=mail.sent_at, reasons=_reason("rejection", detail.reject.reason))
    return mail


def _bounced(mail: Mail, detail: Bounce) -> Mail:
    bounce = detail.bounce
    status = next((s[0] for r in bounce.bounced_recipients if (s := STATUS.match(r.status))), "")
    if bounce.bounce_type == "Permanent":
        reasons = _reason("bounce", bounce.bounce_sub_type, status)
        return replace(mail, bounced_at=bounce.timestamp, reasons=reasons)
    reasons = _reason("soft bounce", bounce.bounce_sub_type, status)
    return replace(mail, soft_bounced_at=bounce.timestamp, reasons=reasons)


def _complained(mail: Mail, detail: Complaint) -> Mail:
    complaint = detail.complaint
    if complaint.complaint_feedback_type == NOT_SPAM:
        return mail
    said = complaint.complaint_sub_type or complaint.complaint_feedback_type or ""
    return replace(mail, complained_at=complaint.timestamp, reasons=_reason("complaint", said))


def _reason(about: str, word: str, status: str = "") -> frozenset[str]:
    """Write a reason from SES's words, for example "bounce: General 5.1.1"."""
    said = f"{NOT_IN_REASON.sub('', word)[:LONGEST_WORD]} {status}".strip()
    return frozenset([f"{about}: {said or 'no reason given'}"])
