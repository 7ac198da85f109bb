"""The messages on the queue of mail_feedback: SES's events, in EventBridge's envelope.

AWS may add fields at any time. So, unlike in our own messages, unknown fields are allowed.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# SES was not there before 2000. The bounds keep absurd years from PostgreSQL.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class SentMail(_Part):
    """The mail of an event. Its recipient and headers are not read."""

    message_id: str = Field(pattern=r"^[!-~]{1,200}$")
    timestamp: Moment
    tags: dict[str, list[str]] = Field(default_factory=dict)


class Occurrence(_Part):
    """A moment in a mail's life."""

    timestamp: Moment


class Recipient(_Part):
    """A recipient of a bounced mail; `status` is their server's answer."""

    status: str = ""


class BounceDetails(Occurrence):
    """The kind of a bounce, and its recipients."""

    bounce_type: Literal["Permanent", "Transient", "Undetermined"]
    bounce_sub_type: str = ""
    bounced_recipients: list[Recipient] = Field(default_factory=list)


class ComplaintDetails(Occurrence):
    """The kind of a complaint."""

    complaint_sub_type: str | None = None
    complaint_feedback_type: str | None = None


class RejectDetails(_Part):
    """SES's reason to reject a mail that it had accepted."""

    reason: str = ""


class Send(_Part):
    """SES accepted the mail."""

    event_type: Literal["Send"]
    mail: SentMail


class Delivery(_Part):
    """The recipient's server accepted it."""

    event_type: Literal["Delivery"]
    mail: SentMail
    delivery: Occurrence


class Bounce(_Part):
    """The recipient's server refused it."""

    event_type: Literal["Bounce"]
    mail: SentMail
    bounce: BounceDetails


class Complaint(_Part):
    """The recipient marked it as spam."""

    event_type: Literal["Complaint"]
    mail: SentMail
    complaint: ComplaintDetails


class Reject(_Part):
    """SES found forbidden content and did not send it."""

    event_type: Literal["Reject"]
    mail: SentMail
    reject: RejectDetails


class SesEvent(BaseModel):
    """An event of SES in EventBridge's envelope."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    source: Literal["aws.ses"]
    detail: Annotated[Send | Delivery | Bounce | Complaint | Reject, Field(discriminator="event_type")]
