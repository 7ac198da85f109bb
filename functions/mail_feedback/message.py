"""What travels on the queue of mail_feedback: SES's events, as EventBridge passes them on.

AWS writes them, and may add fields at any time: unlike in our own messages, an unknown field is no error.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# SES counts in milliseconds since 1970. What is far from that is no moment that PostgreSQL should see.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class SentMail(_Part):
    """The mail that an event is about. Its recipient and its headers are not read."""

    message_id: str = Field(pattern=r"^[!-~]{1,200}$")
    timestamp: Moment
    tags: dict[str, list[str]] = Field(default_factory=dict)


class Occurrence(_Part):
    """What happened, and when."""

    timestamp: Moment


class Recipient(_Part):
    """A recipient of a bounced mail; `status` is what their server answered."""

    status: str = ""


class BounceDetails(Occurrence):
    """Why a mail bounced."""

    bounce_type: Literal["Permanent", "Transient", "Undetermined"]
    bounce_sub_type: str = ""
    bounced_recipients: list[Recipient] = Field(default_factory=list)


class ComplaintDetails(Occurrence):
    """What somebody has complained about."""

    complaint_sub_type: str | None = None
    complaint_feedback_type: str | None = None


class RejectDetails(_Part):
    """Why SES refused a mail that it had taken."""

    reason: str = ""


class Send(_Part):
    """SES has taken a mail."""

    event_type: Literal["Send"]
    mail: SentMail


class Delivery(_Part):
    """The recipient's server has taken it."""

    event_type: Literal["Delivery"]
    mail: SentMail
    delivery: Occurrence


class Bounce(_Part):
    """The recipient's server does not take it."""

    event_type: Literal["Bounce"]
    mail: SentMail
    bounce: BounceDetails


class Complaint(_Part):
    """The recipient has marked it as spam."""

    event_type: Literal["Complaint"]
    mail: SentMail
    complaint: ComplaintDetails


class Reject(_Part):
    """SES has found something in it that it does not send."""

    event_type: Literal["Reject"]
    mail: SentMail
    reject: RejectDetails


class SesEvent(BaseModel):
    """An event of SES's in EventBridge's envelope."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    source: Literal["aws.ses"]
    detail: Annotated[Send | Delivery | Bounce | Complaint | Reject, Field(discriminator="event_type")]
