"""An e-mail as bytes, and its way to SES.

What users and the model wrote is cleaned here (`plain`) before it is shown anywhere. What SES answers is
classified here, once.
"""

import random
import re
import time
from contextlib import closing
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from threading import Lock
from typing import TYPE_CHECKING
from unicodedata import category
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError
from itsdangerous import URLSafeSerializer
from pydantic import Field, ValidationInfo, field_validator

from mojodex.aws import CLIENT_CONFIG
from mojodex.errors import PermanentError, TransientError
from mojodex.llm import well_formed
from mojodex.runtime import is_loopback, made_once
from mojodex.secrets import read_secret
from mojodex.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from events.rendering import Rendered

LONGEST_SUBJECT = 150
LONGEST_NAME = 60

# SES counts sends by the second, so a short pause is often enough.
TRIES = 3
PAUSE_SECONDS = (0.5, 2.0)
# An answer that comes later leaves it open whether the mail was sent. Quick refusals, the pauses and a last
# answer that is slow fit into 15 seconds.
ANSWER_SECONDS = 8
# What an operator has to put right, or the end of a 24-hour quota, is not there in a minute.
OPERATOR_SECONDS = 1800
# Names of what a mail is about, on the events that SES publishes: its limits.
NOT_IN_TAG = re.compile("[^A-Za-z0-9_-]")
LONGEST_TAG = 256

# RFC 5321, without what only quotation marks allow. SES takes no letters beyond ASCII before the @.
LONGEST_ADDRESS = 254
LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"({LABEL}\.)+(?=[a-z]){LABEL}", re.ASCII | re.IGNORECASE)
# Words that a header may hold as they are, wherever in it; anything else is encoded.
ATOMS = re.compile("[A-Za-z0-9!'*+-][A-Za-z0-9!'*+ -]{0,59}")
# RFC 5322 allows a line of 998 bytes. A token has up to 500.
LINK = re.compile("https?://[!-;=?-~]{1,900}")
LONGEST_UNSUBSCRIBE_URL = 400

WHITE_SPACE = re.compile(r"\s+")
NO_BREAK_SPACES = "\u00a0\u202f"
# The zero-width (non-)joiner makes words in Persian and families in emoji; anywhere else it only hides.
JOINERS = "\u200c\u200d"
STRAY_JOINERS = re.compile(f"(?<!\\S)[{JOINERS}]+|[{JOINERS}]+(?!\\S)|(?<=[{JOINERS}])[{JOINERS}]+")
# An address ends at a space, a bracket, a quotation mark, or a script that is written without spaces.
URL = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}://"
    r"|(?<![a-z0-9])(?:www\.|(?:javascript|vbscript|data|mailto|tel|sms|callto|facetime|skype|magnet|sip):(?=\S)))"
    r"[^\s<>()\"'«»\u2e80-\U0010ffff]*",
    re.IGNORECASE,
)
# What could be a dot of a host name; not that of "3.5".
DOT_OF_NAME = re.compile(r"(?<=\S)\.(?=[^\W\d_]|\d+\.\d)")
WORD_JOINER = "\u2060"


class NotKnownIfSentError(PermanentError):
    """The mail was handed over and no answer came. A second try could be a second mail, so there is none."""


def _host(url: str) -> str:
    """The host that the URL names.

    Raises:
        ValueError: it is not a URL of http or https that could stand in a mail.
    """
    if not LINK.fullmatch(url) or not (host := urlsplit(url).hostname):
        raise ValueError("it is not a URL of http or https with a host")
    return host


class EmailSettings(Settings):
    """Who sends mails, and what their links lead to.

    Attributes:
        email_sender: address that SES may send from.
        email_sender_name: what stands before it.
        ses_configuration_set: name of the configuration set, which keeps the suppression list and the events.
        mojodex_webapp_uri: where the button leads.
        unsubscribe_url: page that ends these mails, also when it is posted to (RFC 8058); https. Without it
            a mail has no such link.
        unsubscribe_secret_arn: secret with the field `signing_key`, which the page checks its token with.
    """

    email_sender: str
    email_sender_name: str = "Mojo"
    ses_configuration_set: str
    mojodex_webapp_uri: str
    unsubscribe_url: str | None = None
    unsubscribe_secret_arn: str | None = Field(default=None, validate_default=True)

    @field_validator("email_sender")
    @classmethod
    def _one_address(cls, sender: str) -> str:
        return _address(sender)

    @field_validator("mojodex_webapp_uri")
    @classmethod
    def _web(cls, url: str) -> str:
        _host(url)
        return url

    @field_validator("unsubscribe_url")
    @classmethod
    def _secure(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not is_loopback(_host(url)) and urlsplit(url).scheme != "https":
            raise ValueError("it is not a URL of https")
        if "#" in url:
            raise ValueError("it has a fragment, which no server gets to see")
        if len(url) > LONGEST_UNSUBSCRIBE_URL:
            raise ValueError(f"it is longer than {LONGEST_UNSUBSCRIBE_URL} characters")
        return url

    @field_validator("unsubscribe_secret_arn")
    @classmethod
    def _both_or_none(cls, arn: str | None, info: ValidationInfo) -> str | None:
        # A URL that is not valid was complained of already, and is not in `data`.
        if "unsubscribe_url" in info.data and (arn is None) != (info.data["unsubscribe_url"] is None):
            raise ValueError("UNSUBSCRIBE_URL and UNSUBSCRIBE_SECRET_ARN are set both or not at all")
        return arn


# Cleaning.


def plain(text: str, most: int) -> str:
    """The text as one line that shows all that it holds, and that no mail client makes a link of.

    Args:
        text: from a user or a model; anything.
        most: longest result in characters, at least 2; what is longer ends with "…", at a word's end.
    """
    text = "".join(
        c for c in well_formed(text) if category(c) not in ("Cc", "Cf") or c.isspace() or c in JOINERS
    )
    text = STRAY_JOINERS.sub("", text)
    text = WHITE_SPACE.sub(lambda m: m[0] if m[0] in NO_BREAK_SPACES else " ", text)
    text = URL.sub("[…]", text)
    text = DOT_OF_NAME.sub("." + WORD_JOINER, text)
    return _cut(text.strip(), most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most - 1
    while end and _belong_together(text[end - 1], text[end]):
        end -= 1
    end = end or most - 1
    # A word that is longer than half of it is cut, as are scripts without spaces.
    space = text.rfind(" ", end // 2, end + 1)
    return text[: space if space > 0 else end].rstrip(WORD_JOINER).rstrip() + "…"


def _belong_together(one: str, other: str) -> bool:
    """Whether two characters are shown as one: marks, joined emoji, skin tones, the letters of flags."""
    return (
        one in JOINERS
        or other in JOINERS
        or category(other).startswith("M")
        or "\U0001f3fb" <= other <= "\U0001f3ff"
        or ("\U0001f1e6" <= one <= "\U0001f1ff" and "\U0001f1e6" <= other <= "\U0001f1ff")
    )


def _address(address: str) -> str:
    """The e-mail address with its domain in ASCII (IDNA).

    Raises:
        ValueError: it is not one plain address.
    """
    local_part, _, domain = address.rpartition("@")
    if len(address) <= LONGEST_ADDRESS and LOCAL_PART.fullmatch(local_part) and "=?" not in local_part:
        try:
            address = f"{local_part}@{domain.encode('idna').decode('ascii')}"
        except UnicodeError:
            address = ""
        if len(address) <= LONGEST_ADDRESS and DOMAIN.fullmatch(address.rpartition("@")[2]):
            return address
    raise ValueError("it is not one plain e-mail address")


def check_address(address: str) -> str:
    """The user's e-mail address as SES takes it.

    Raises:
        PermanentError: it is not an address that SES could send to.
    """
    try:
        return _address(address)
    except ValueError:
        raise PermanentError("the user's e-mail address is not valid") from None


# The mail.


def unsubscribe_link(settings: EmailSettings, user_id: str, event_type: str) -> str | None:
    """The link that ends the mails of this type to this user; None if there is no page for it.

    Its `token` is `itsdangerous.URLSafeSerializer(signing_key, salt="unsubscribe")` of `user_id` and
    `event_type`, and stays valid, as an old mail may be read years later.

    Raises:
        TransientError: the secret cannot be read, or has no signing key.
    """
    if settings.unsubscribe_url is None or settings.unsubscribe_secret_arn is None:
        return None
    key = read_secret(settings.unsubscribe_secret_arn).get("signing_key")
    if not isinstance(key, str) or not key:
        raise TransientError("the secret for unsubscribing has no signing_key", retry_after=OPERATOR_SECONDS)
    token: str = URLSafeSerializer(key, salt="unsubscribe").dumps(
        {"user_id": user_id, "event_type": event_type}
    )
    separator = "&" if "?" in settings.unsubscribe_url else "?"
    return f"{settings.unsubscribe_url}{separator}token={token}"


def as_bytes(
    settings: EmailSettings,
    rendered: "Rendered",
    *,
    to_name: str | None,
    to_address: str,
    unsubscribe_link: str | None,
    now: datetime,
) -> bytes:
    """The mail as it goes over the wire.

    Args:
        settings: who sends it.
        rendered: what it says.
        to_name, to_address: the user's; the name may be unknown.
        unsubscribe_link: for the button that mail clients show beside the sender.
        now: the present moment (aware).

    Raises:
        PermanentError: the user's address is not one that SES could send to, or the link is too long.
    """
    # By hand, because `EmailMessage` decodes and folds the values that it is given: it reads a line break out
    # of encoded words in a name, sets two encoded words side by side without the space that they need, and
    # makes an encoded word of a long link.
    head = {
        "From": _mailbox(settings.email_sender_name, settings.email_sender),
        "To": _mailbox(to_name or "", check_address(to_address)),
        "Subject": _encoded(plain(rendered.subject, LONGEST_SUBJECT)),
    }
    if unsubscribe_link is not None:
        if not LINK.fullmatch(unsubscribe_link):
            raise PermanentError("the unsubscribe link cannot stand in a header")
        head["List-Unsubscribe"] = f"<{unsubscribe_link}>"
        head["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"

    message = EmailMessage(policy=SMTP)
    message["Date"] = now
    message["Message-ID"] = make_msgid(domain=settings.email_sender.rpartition("@")[2])
    # RFC 3834: no automatic answers, please.
    message["Auto-Submitted"] = "auto-generated"
    # Lines of 76 bytes, whatever the text holds.
    message.set_content(rendered.text, cte="base64")
    message.add_alternative(rendered.html, subtype="html", cte="base64")
    return (
        "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode("ascii") + message.as_bytes()
    )


def _mailbox(name: str, address: str) -> str:
    """A name and an address; the name may be empty."""
    name = plain(name, LONGEST_NAME)
    return f"{_encoded(name)}\r\n <{address}>" if name else address


def _encoded(text: str) -> str:
    """The text for a header, as encoded words (RFC 2047) where it needs them, folded."""
    if ATOMS.fullmatch(text):
        return text
    # The first line leaves room for the header's name.
    return Header(text, "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")


# SES.


class ThrottledError(TransientError):
    """Too many mails in this second."""


_MAKING = Lock()


@made_once
def _session() -> boto3.Session:
    return boto3.Session()


def _client() -> "SESV2Client":
    """A client for one mail. It costs 25 ms more than a kept one, whose connection may have died while
    Lambda was frozen: that looks the same as an answer that was lost.
    """
    # One attempt: SendEmail has no idempotency token, so a second one may be a second mail.
    config = CLIENT_CONFIG.merge(
        Config(read_timeout=ANSWER_SECONDS, retries={"mode": "standard", "total_max_attempts": 1})
    )
    # A session makes one client at a time.
    with _MAKING:
        return _session().client("sesv2", config=config)


def send(settings: EmailSettings, raw: bytes, *, to_address: str, job: str) -> str:
    """Hand a mail over to SES.

    Args:
        settings: see there.
        raw: from `as_bytes`.
        to_address: the user's.
        job: tells SES's events apart; goes into the tag `job`.

    Returns:
        SES's id of the message.

    Raises:
        TransientError: it was not sent; SES is busy or away, or an operator has to put something right.
        PermanentError: it was not sent; SES refuses this mail.
        NotKnownIfSentError: no answer came.
    """
    to_address = check_address(to_address)
    tries = 1
    while True:
        try:
            return _send_once(settings, raw, to_address, job)
        except ThrottledError:
            if tries == TRIES:
                raise
        tries += 1
        time.sleep(random.uniform(*PAUSE_SECONDS))


def _send_once(settings: EmailSettings, raw: bytes, to_address: str, job: str) -> str:
    # None of botocore's own texts is kept: they may quote the address.
    try:
        with closing(_client()) as client:
            answer = client.send_email(
                Destination={"ToAddresses": [to_address]},
                Content={"Raw": {"Data": raw}},
                ConfigurationSetName=settings.ses_configuration_set,
                EmailTags=[{"Name": "job", "Value": NOT_IN_TAG.sub("-", job)[:LONGEST_TAG]}],
            )
        return answer["MessageId"]
    except aws_errors.ClientError as error:
        raise _refusal(error) from None
    except (aws_errors.HTTPClientError, aws_errors.SSLError, ResponseParserError, KeyError):
        # An SSLError may come in the middle of an answer, and a KeyError from one that says nothing.
        raise NotKnownIfSentError("it is not known whether SES took the mail") from None
    except aws_errors.BotoCoreError as error:
        raise TransientError(f"SES cannot be reached ({type(error).__name__})") from None


def _refusal(error: aws_errors.ClientError) -> PermanentError | TransientError:
    """What SES's error means for the mail."""
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code.startswith(("TooManyRequests", "Throttl")):
        return ThrottledError("SES is busy")
    if status >= 500:
        # Without an error code it is a gateway that answers, and SES may have the mail.
        if code.isdigit():
            return NotKnownIfSentError("it is not known whether SES took the mail")
        return TransientError(f"SES is not well ({code})")
    not_verified = "not verified" in error.response["Error"].get("Message", "")
    if code == "BadRequestException" or (code == "MessageRejected" and not not_verified):
        return PermanentError(f"SES refuses the mail ({code})")
    # The quota, the account, a permission, the configuration set, the sender: not the user's fault.
    return TransientError(f"SES does not send now ({code})", retry_after=OPERATOR_SECONDS)
