"""Write an e-mail as bytes: sender, address, headers and parts."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from urllib.parse import urlsplit

from itsdangerous import URLSafeSerializer
from pydantic import Field, ValidationInfo, field_validator

from events.mail.plain_text import plain
from mojodex import unsubscribing
from mojodex.errors import PermanentError
from mojodex.runtime import is_loopback
from mojodex.secrets import read_secret
from mojodex.settings import Settings

LONGEST_SUBJECT = 150
LONGEST_NAME = 60

# RFC 5321, without what only quotation marks allow. SES takes no letters beyond ASCII before the @.
LONGEST_ADDRESS = 254
LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"({LABEL}\.)+(?=[a-z]){LABEL}", re.ASCII | re.IGNORECASE)
# Words that need no encoding anywhere in a header.
ATOMS = re.compile("[A-Za-z0-9!'*+-][A-Za-z0-9!'*+ -]{0,59}")
# RFC 5322 allows a line of 998 bytes. A token has up to 500.
LINK = re.compile("https?://[!-;=?-~]{1,900}")
LONGEST_UNSUBSCRIBE_URL = 400


@dataclass(frozen=True)
class Rendered:
    """A mail's subject and its two parts."""

    subject: str
    html: str
    text: str


def _host(url: str) -> str:
    """Return the host of a URL.

    Raises:
        ValueError: it is not a URL of http or https that fits into a mail.
    """
    if not LINK.fullmatch(url) or not (host := urlsplit(url).hostname):
        raise ValueError("it is not a URL of http or https with a host")
    return host


class EmailSettings(Settings):
    """The sender of mails, and the targets of their links.

    Attributes:
        email_sender: address that SES may send from.
        email_sender_name: display name of the sender.
        ses_configuration_set: name of the configuration set, which keeps the suppression list and the events.
        mojodex_webapp_uri: target of the button.
        unsubscribe_url: your page that ends these mails, also by POST (RFC 8058); https.
        operate_url: base URL of our API, whose page ends the mails if there is no `unsubscribe_url`; https.
        unsubscribe_secret_arn: secret with the keys that sign the token for either page. Without it, mails
            have no unsubscribe link.
    """

    email_sender: str
    email_sender_name: str = "Mojo"
    ses_configuration_set: str
    mojodex_webapp_uri: str
    unsubscribe_url: str | None = None
    operate_url: str | None = None
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

    @field_validator("unsubscribe_url", "operate_url")
    @classmethod
    def _secure(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not is_loopback(_host(url)) and urlsplit(url).scheme != "https":
            raise ValueError("it is not an https URL")
        if "#" in url:
            raise ValueError("it has a fragment, which browsers do not send")
        if len(url) > LONGEST_UNSUBSCRIBE_URL:
            raise ValueError(f"it is longer than {LONGEST_UNSUBSCRIBE_URL} characters")
        return url

    @field_validator("operate_url")
    @classmethod
    def _base(cls, url: str | None) -> str | None:
        if url is not None and "?" in url:
            raise ValueError("it has a query")
        return url and url.rstrip("/")

    @field_validator("unsubscribe_secret_arn")
    @classmethod
    def _with_its_page(cls, arn: str | None, info: ValidationInfo) -> str | None:
        # An invalid URL was reported already, and is not in `data`.
        if {"unsubscribe_url", "operate_url"} <= info.data.keys():
            if arn is None and info.data["unsubscribe_url"] is not None:
                raise ValueError("it is needed with UNSUBSCRIBE_URL")
            if arn is not None and info.data["unsubscribe_url"] is None and info.data["operate_url"] is None:
                raise ValueError("UNSUBSCRIBE_URL or OPERATE_URL is needed with it")
        return arn


def _address(address: str) -> str:
    """Return the e-mail address with its domain in ASCII (IDNA).

    Raises:
        ValueError: it is not one plain address.
    """
    local_part, _, domain = address.rpartition("@")
    try:
        # IDNA turns full-width characters into ASCII, even "@" and ",", so the whole result is checked.
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    address = f"{local_part}@{domain}"
    if (
        len(address) <= LONGEST_ADDRESS
        and "=?" not in local_part
        and LOCAL_PART.fullmatch(local_part)
        and DOMAIN.fullmatch(domain)
    ):
        return address
    raise ValueError("it is not one plain e-mail address")


def check_address(address: str) -> str:
    """Return the user's e-mail address in the form that SES accepts.

    Raises:
        PermanentError: SES cannot send to it.
    """
    try:
        return _address(address)
    except ValueError:
        raise PermanentError("the user's e-mail address is not valid") from None


@dataclass(frozen=True)
class Unsubscribe:
    """The link that ends the mails of one kind to one user.

    Attributes:
        link: its address.
        token_id: id to pass to `unsubscribing.remember` before the mail is sent; None with an
            `unsubscribe_url`.
    """

    link: str
    token_id: str | None = None


def unsubscribe(settings: EmailSettings, user_id: str, event_type: str) -> Unsubscribe | None:
    """Return the link that ends mails of this type for this user; None if there is no page for it.

    With an `unsubscribe_url`, `itsdangerous.URLSafeSerializer(signing_key, salt="unsubscribe")` makes the
    `token` from `user_id` and `event_type`. It never expires, because mails may be read years later. The
    token for our own page contains no user id (see `unsubscribing`).

    Raises:
        TransientError: the secret cannot be read, or has no signing key.
    """
    if settings.unsubscribe_secret_arn is None:
        return None
    keys = unsubscribing.signing_keys(read_secret(settings.unsubscribe_secret_arn))
    if settings.unsubscribe_url is None:
        ours = unsubscribing.make_token(keys, user_id, event_type)
        return Unsubscribe(f"{settings.operate_url}/unsubscribe?token={ours.text}", ours.id)
    token: str = URLSafeSerializer(keys, salt="unsubscribe").dumps(
        {"user_id": user_id, "event_type": event_type}
    )
    separator = "&" if "?" in settings.unsubscribe_url else "?"
    return Unsubscribe(f"{settings.unsubscribe_url}{separator}token={token}")


def as_bytes(
    settings: EmailSettings,
    rendered: Rendered,
    *,
    to_name: str | None,
    to_address: str,
    unsubscribe_link: str | None,
    now: datetime,
) -> bytes:
    """Return the bytes of the mail.

    Args:
        settings: of the sender.
        rendered: subject and parts.
        to_name, to_address: the user's; the name may be None.
        unsubscribe_link: for the button that mail clients show beside the sender.
        now: the present moment (aware).

    Raises:
        PermanentError: SES cannot send to the user's address, or the link is too long.
    """
    # By hand, because `EmailMessage` decodes and folds values. It finds line breaks in the encoded words of a
    # name, drops the space between two encoded words, and encodes a long link.
    head = {
        "From": _mailbox(settings.email_sender_name, settings.email_sender),
        "To": _mailbox(to_name or "", check_address(to_address)),
        "Subject": _encoded(plain(rendered.subject, LONGEST_SUBJECT)),
    }
    if unsubscribe_link is not None:
        if not LINK.fullmatch(unsubscribe_link):
            raise PermanentError("the unsubscribe link does not fit into a header")
        head["List-Unsubscribe"] = f"<{unsubscribe_link}>"
        head["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"

    message = EmailMessage(policy=SMTP)
    message["Date"] = now
    message["Message-ID"] = make_msgid(domain=settings.email_sender.rpartition("@")[2])
    # RFC 3834: asks for no automatic answers.
    message["Auto-Submitted"] = "auto-generated"
    # base64 keeps lines at 76 bytes, whatever the text.
    message.set_content(rendered.text, cte="base64")
    message.add_alternative(rendered.html, subtype="html", cte="base64")
    return (
        "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode("ascii") + message.as_bytes()
    )


def _mailbox(name: str, address: str) -> str:
    """Write a name and an address; the name may be empty."""
    name = plain(name, LONGEST_NAME)
    return f"{_encoded(name)}\r\n <{address}>" if name else address


def _encoded(text: str) -> str:
    """Encode a text for a header: folded, and as encoded words (RFC 2047) where needed."""
    if ATOMS.fullmatch(text):
        return text
    # The first line leaves room for the header's name.
    return Header(text, "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")
