"""Factories for SES's events as EventBridge sends them (SES's developer guide has examples)."""

from datetime import datetime
from typing import Any

DETAIL_TYPES = {
    "Send": "Email Sent",
    "Delivery": "Email Delivered",
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "Reject": "Email Rejected",
}
ADDRESS = "ada@example.org"


def written(moment: datetime) -> str:
    """Format a moment as SES does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def ses_event(
    kind: str,
    message_id: str,
    at: datetime,
    *,
    sent_at: datetime | None = None,
    configuration_set: str = "mojodex",
    job: str = "2026-12-01-events-todo_daily_emails-user-1",
    **details: Any,
) -> dict[str, Any]:
    """Make an event about a mail.

    Args:
        kind: "Send", "Delivery", "Bounce", "Complaint" or "Reject".
        message_id: SES's id of the mail.
        at: when it happened (with a time zone).
        sent_at: when SES took the mail; by default `at`.
        configuration_set, job: tags of the mail.
        details: more fields of this kind of event.
    """
    own: dict[str, Any] = {} if kind in ("Send", "Reject") else {"timestamp": written(at)}
    if kind == "Bounce":
        own |= {
            "feedbackId": "0100-f",
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [
                {
                    "emailAddress": ADDRESS,
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": f"smtp; 550 5.1.1 <{ADDRESS}>: user unknown",
                }
            ],
            "reportingMTA": "dsn; mta.example.org",
        }
    if kind == "Complaint":
        own |= {
            "feedbackId": "0100-f",
            "complaintSubType": None,
            "complainedRecipients": [{"emailAddress": ADDRESS}],
            "complaintFeedbackType": "abuse",
        }
    if kind == "Reject":
        own |= {"reason": "Bad content"}
    if kind == "Delivery":
        own |= {
            "recipients": [ADDRESS],
            "smtpResponse": "250 2.6.0 Message received",
            "processingTimeMillis": 9,
        }
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": DETAIL_TYPES.get(kind, kind),
        "source": "aws.ses",
        "account": "123456789012",
        "time": written(at),
        "region": "us-east-1",
        "resources": [f"arn:aws:ses:us-east-1:123456789012:configuration-set/{configuration_set}"],
        "detail": {
            "eventType": kind,
            kind.lower(): own | details,
            "mail": {
                "timestamp": written(sent_at or at),
                "source": "Mojo <mojo@example.com>",
                "messageId": message_id,
                "destination": [ADDRESS],
                "headersTruncated": False,
                "headers": [{"name": "Subject", "value": "Your Tuesday"}],
                "tags": {"ses:configuration-set": [configuration_set], "job": [job]},
            },
        },
    }


def soft_bounce(message_id: str, at: datetime, **more: Any) -> dict[str, Any]:
    """Make an event for a full mailbox."""
    details: dict[str, Any] = {"bounceType": "Transient", "bounceSubType": "MailboxFull"}
    recipients = [{"emailAddress": ADDRESS, "status": "4.2.2"}]
    return ses_event("Bounce", message_id, at, **details, bouncedRecipients=recipients, **more)
