"""The page behind a mail's link. It ends the daily mail without a login, and starts it again.

Mail scanners follow links, so a GET changes nothing. The page's button posts to the same address to end the
mail, as the one-click buttons of mail clients do (RFC 8058).

This module knows no HTTP framework. No answer holds a user's id, name or address.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

from mojodex import unsubscribing
from mojodex.database import Database
from operate.pages import render
from operate.unsubscribe.words import WORDS, words_for

# Field and value that start the mail again. Any other form ends it.
FIELD, AGAIN = "mails", "again"
# In characters. Our forms and those of mail clients are shorter.
LONGEST_BODY = 1000


class Page(NamedTuple):
    """An HTTP status and an HTML page."""

    status: int
    html: str


def page(token: str, database: Database, keys: Sequence[str]) -> Page:
    """Show whether the token's user gets the mail, with a button to change that. Changes nothing.

    Args:
        token: from the link's address.
        database: has the users.
        keys: from `unsubscribing.signing_keys`.

    Raises:
        TransientError: as `Database.session`.
    """
    token_id = unsubscribing.read_token(keys, token)
    if token_id is None:
        return _not_valid()
    return _page(database.with_db_session(unsubscribing.reception, token_id), asks=True)


def submit(token: str, body: str, database: Database, keys: Sequence[str]) -> Page:
    """End the mail or start it again, as a posted form asks.

    Args:
        token, database, keys: as `page`.
        body: form from the page's buttons or from a mail client.

    Raises:
        TransientError: as `Database.session`.
    """
    wanted = AGAIN in parse_qs(body[:LONGEST_BODY]).get(FIELD, [])
    token_id = unsubscribing.read_token(keys, token)
    if token_id is None:
        return _not_valid()
    return _page(database.with_db_session(unsubscribing.set_reception, token_id, wanted=wanted), asks=False)


def _page(found: unsubscribing.Reception | None, *, asks: bool) -> Page:
    if found is None:
        return _not_valid()
    words = words_for(found.language_code)
    if not found.wanted:
        title, said = words.ended, words.ended_about
    elif asks:
        title, said = words.question, words.about
    else:
        title, said = words.started, words.started_about
    button = words.end if found.wanted else words.start
    value = "end" if found.wanted else AGAIN
    shown = {"words": words, "title": title, "said": said, "button": button, "field": FIELD, "value": value}
    return Page(200, render("unsubscribe/page.html", **shown))


def _not_valid() -> Page:
    """Say in all languages that a link is not valid. Every cause gets this same page."""
    return Page(400, render("unsubscribe/not_valid.html", languages=WORDS.values()))
