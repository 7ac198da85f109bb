"""Named credentials and their rights, sent as HTTP Basic or exchanged for a session.

The secret `OperateSecretArn` holds them:

    {"session_keys": ["…"],
     "credentials": {"backend": {"secret": "…", "rights": ["publish"]},
                     "ops": {"secret": "…", "rights": ["read", "read-content", "operate"]}}}

    publish       publish messages through the routes of Mojodex's own Background
    read          see jobs, websites and the console, without any user's words
    read-content  see whole outcomes of jobs
    operate       retry, cancel, pause, lift mail blocks

A change of the secret takes effect within five minutes. Changing or removing a credential ends its sessions.
"""

import hashlib
import hmac
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.shared.cookies import Cookie, SameSite
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mojodex.errors import OPERATOR_SECONDS, TransientError
from mojodex.secrets import read_secret
from mojodex.validation import error_summary
from operate.problems import Problem

Right = Literal["publish", "read", "read-content", "operate"]

# An unused session ends after the first, a used one after the second.
SESSION_SECONDS = 3600
LONGEST_SESSION_SECONDS = 12 * 3600
RENEWED_AFTER_SECONDS = 300
# Browsers accept this prefix only over TLS (or from this machine), and let no other host set the cookie.
COOKIE = "__Host-mojodex-session"
# ASCII, because `requests` sends Latin-1 and browsers send UTF-8.
Secret = Annotated[str, StringConstraints(min_length=20, max_length=200, pattern=r"^[!-~]+$")]
FIELDS = ("session_keys", "credentials", "secret", "rights")
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class Credential(BaseModel):
    """A secret and the rights of its owner."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    secret: Secret
    rights: frozenset[Right]


class Credentials(BaseModel):
    """The content of the secret.

    Attributes:
        session_keys: keys that sign sessions. The last one, which is the newest, signs new sessions.
        credentials: by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    session_keys: Annotated[list[Secret], Field(min_length=1)]
    credentials: dict[Name, Credential]


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        name: of the credential.
        rights: of the credential.
        session: the browser's; None for HTTP Basic.
    """

    name: str
    rights: frozenset[Right]
    session: "Session | None" = None


@dataclass(frozen=True)
class Session:
    """A browser's session.

    Attributes:
        session_id: random.
        csrf_token: token that each form of this session must send.
        renewed: new value of the cookie; None if it was renewed recently.
    """

    session_id: str
    csrf_token: str
    renewed: str | None = None


def read_credentials(arn: str) -> Credentials:
    """Read the credentials.

    Raises:
        TransientError: the secret cannot be read, or is not valid. The message names the field.
    """
    try:
        return Credentials.model_validate(read_secret(arn))
    except ValidationError as error:
        reason = f"operate secret: {error_summary(error, 'secret', _field)}"
        raise TransientError(reason, retry_after=OPERATOR_SECONDS) from None


def _field(path: str) -> str:
    """Return a field's path without names of credentials, because anybody can read the message."""
    return ".".join(part if part in FIELDS else "*" for part in path.split("."))


def basic(authorization: str) -> tuple[str, str]:
    """Return the name and the secret in an `Authorization` header.

    Raises:
        Problem: 401, it is not HTTP Basic.
    """
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, colon, secret = b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except ValueError:
        name = colon = secret = ""
    if scheme.lower() != "basic" or not colon:
        raise Problem(401, "Unauthorized", "The Authorization header is not HTTP Basic.")
    return name, secret


def check_secret(credentials: Credentials, name: str, secret: str) -> Caller | None:
    """Return the caller, or None if the secret is wrong. The time does not reveal whether the name exists."""
    known = credentials.credentials.get(name)
    expected = known.secret if known else credentials.session_keys[0]
    # Digests have one length, so the time does not reveal the length of the secret.
    matches = hmac.compare_digest(_digest(expected), _digest(secret))
    return Caller(name, known.rights) if known and matches else None


def begin_session(credentials: Credentials, caller: Caller, now: datetime) -> str:
    """Return the cookie value of a new session."""
    return _session_value(credentials, caller.name, secrets.token_urlsafe(12), now.timestamp())


def read_session(credentials: Credentials, cookie: str, now: datetime) -> Caller | None:
    """Return the caller of a session's cookie; None if it is forged, too old, or its credential changed."""
    try:
        content, signed_at = _sessions(credentials).loads(
            cookie, max_age=SESSION_SECONDS, return_timestamp=True
        )
        name, session_id, begun_at = content["name"], content["id"], content["begun"]
    except (BadData, UnicodeError):
        return None
    known = credentials.credentials.get(name)
    if (
        known is None
        or not hmac.compare_digest(content["of"], _digest(known.secret).hex())
        or now.timestamp() - begun_at > LONGEST_SESSION_SECONDS
    ):
        return None
    is_old = (now - signed_at).total_seconds() > RENEWED_AFTER_SECONDS
    renewed = _session_value(credentials, name, session_id, begun_at) if is_old else None
    token: str = _csrf(credentials).dumps(session_id)
    return Caller(name, known.rights, Session(session_id, token, renewed))


def check_csrf(credentials: Credentials, session: Session | None, token: str) -> None:
    """Check the CSRF token of a form.

    Raises:
        Problem: 403, the token is not the session's.
    """
    try:
        session_id: Any = _csrf(credentials).loads(token)
    except (BadData, UnicodeError):
        session_id = None
    if (
        session is None
        or not isinstance(session_id, str)
        or not hmac.compare_digest(session_id.encode(), session.session_id.encode())
    ):
        raise Problem(403, "Forbidden", "The form does not belong to this session. Load the page again.")


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Check that no other website made the browser send this request.

    Browsers send `Sec-Fetch-Site`. Browsers before 2023 send only `Origin`. Other clients send neither.

    Raises:
        Problem: 403, another website did.
    """
    site = headers.get("sec-fetch-site")
    if site is None and "origin" in headers:
        origin_host = headers["origin"].rpartition("//")[2]
        site = "same-origin" if origin_host == headers.get("host") else "cross-site"
    if site not in (None, "same-origin", "none"):
        raise Problem(403, "Forbidden", "Another website sent this request.")


def body_of(event: Mapping[str, Any]) -> str:
    """Return the body of a request, with invalid UTF-8 replaced.

    Raises:
        Problem: 400, the body should be Base64 but is not.
    """
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    try:
        return b64decode(body).decode("utf-8", "replace")
    except ValueError:
        raise Problem(400, "Bad request", "The body cannot be decoded.") from None


def form_of(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a posted form. If a name occurs twice, the last value counts."""
    return dict(parse_qsl(body_of(event), keep_blank_values=True))


def cookie(value: str | None) -> Cookie:
    """Return the session's cookie. Without a value, it deletes the browser's cookie."""
    return Cookie(
        COOKIE,
        value or "",
        path="/",
        http_only=True,
        same_site=SameSite.STRICT_MODE,
        max_age=SESSION_SECONDS if value else 0,
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _session_value(credentials: Credentials, name: str, session_id: str, begun_at: float) -> str:
    digest = _digest(credentials.credentials[name].secret).hex()
    content = {"name": name, "id": session_id, "begun": begun_at, "of": digest}
    value: str = _sessions(credentials).dumps(content)
    return value


def _sessions(credentials: Credentials) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(credentials.session_keys), salt="session")


def _csrf(credentials: Credentials) -> URLSafeSerializer:
    return URLSafeSerializer(list(credentials.session_keys), salt="csrf")


def caller_of(router: Router) -> Caller:
    """Return the caller of the request that a router is answering."""
    caller: Caller = router.context["caller"]
    return caller


def needs(right: Right) -> Callable[[Any, Callable[[Any], Response[Any]]], Response[Any]]:
    """Return middleware that admits only callers (`context["caller"]`) with this right."""

    def check(app: Any, next_middleware: Callable[[Any], Response[Any]]) -> Response[Any]:
        caller = app.context.get("caller")
        if caller is None:
            raise Problem(401, "Unauthorized", "Send a name and a secret as HTTP Basic.")
        if right not in caller.rights:
            raise Problem(403, "Forbidden", f"{caller.name} lacks the right {right}.")
        return next_middleware(app)

    return check
