"""The unsubscribe link. Without a login, it ends one kind of mail to one user, or starts it again.

Its token is an opaque id and a signature. The id is a keyed hash, so a URL holds no user id, and a log of
URLs identifies nobody. `md_background_mail_token` has the user behind each id.

A token never expires, because an old mail may be opened years later. To change keys, append the new one to
`signing_keys` in the secret. The newest key signs, and all of them verify.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from itsdangerous import BadSignature, Signer
from sqlalchemy import text
from sqlalchemy.orm import Session

from mojodex.errors import OPERATOR_SECONDS, TransientError

# Differs from the salt of tokens for an external page, which the same keys sign.
SALT = "unsubscribe-here"
# 128 bits, which nobody can guess. A link stays short.
ID_BYTES = 16
# Longer than any valid token.
LONGEST_TOKEN = 200

INSERT = text("""
INSERT INTO md_background_mail_token (token_id, user_id, event_type, made_at)
VALUES (:token_id, :user_id, :event_type, :now)
ON CONFLICT (token_id) DO NOTHING
""")
RECEPTION = text("""
SELECT md_user.language_code, md_user.todo_email_reception AS wanted
FROM md_background_mail_token AS token
JOIN md_user ON md_user.user_id = token.user_id
WHERE token.token_id = :token_id AND token.event_type = 'todo_daily_emails'
""")
SET_RECEPTION = text("""
UPDATE md_user SET todo_email_reception = :wanted
FROM md_background_mail_token AS token
WHERE token.token_id = :token_id
    AND token.event_type = 'todo_daily_emails'
    AND md_user.user_id = token.user_id
    AND md_user.todo_email_reception <> :wanted
""")


@dataclass(frozen=True)
class Token:
    """A token: its id in the database, and its text in a URL."""

    id: str
    text: str


@dataclass(frozen=True)
class Reception:
    """Whether a user wants the mails, and the language of the pages for them."""

    language_code: str | None
    wanted: bool


def signing_keys(secret: dict[str, Any]) -> list[str]:
    """Return the keys of the secret for unsubscribing, the newest last.

    Raises:
        TransientError: it has none, so an operator must act.
    """
    keys: Any = secret.get("signing_keys", [secret.get("signing_key")])
    if isinstance(keys, list) and keys and all(isinstance(key, str) and key for key in keys):
        return keys
    raise TransientError(
        "the secret for unsubscribing has no signing_key or signing_keys", retry_after=OPERATOR_SECONDS
    )


def make_token(keys: Sequence[str], user_id: str, event_type: str) -> Token:
    """Make the token of a user and a kind of mail: always the same for the same key."""
    about = f"{SALT}\0{event_type}\0{user_id}".encode()
    digest = hmac.digest(keys[-1].encode(), about, "sha256")[:ID_BYTES]
    token_id = urlsafe_b64encode(digest).decode().rstrip("=")
    return Token(token_id, _signer(keys).sign(token_id).decode())


def read_token(keys: Sequence[str], token: str) -> str | None:
    """Return the id of a token; None if no key signed it. Signatures are compared in constant time."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        return _signer(keys).unsign(token).decode()
    except (BadSignature, UnicodeError):
        return None


def _signer(keys: Sequence[str]) -> Signer:
    return Signer(list(keys), salt=SALT, digest_method=hashlib.sha256)


def remember(session: Session, token_id: str, user_id: str, event_type: str, now: datetime) -> None:
    """Store the user of a token. Does not commit."""
    session.execute(INSERT, {"token_id": token_id, "user_id": user_id, "event_type": event_type, "now": now})


def reception(session: Session, token_id: str) -> Reception | None:
    """Return what a token's user wants; None if there is no such token or user."""
    row = session.execute(RECEPTION, {"token_id": token_id}).one_or_none()
    return Reception(row.language_code, row.wanted) if row else None


def set_reception(session: Session, token_id: str, *, wanted: bool) -> Reception | None:
    """Set whether a token's user wants the mails. Commits. Repeating it changes nothing.

    Returns:
        What the user wants from now on; None if there is no such token or user.
    """
    session.execute(SET_RECEPTION, {"token_id": token_id, "wanted": wanted})
    now_wanted = reception(session, token_id)
    session.commit()
    return now_wanted
