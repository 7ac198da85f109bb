"""The page that a mail's link leads to: it ends the daily mail without a login, and starts it again.

Programs that check mails follow links, so to look at the page changes nothing. Its button posts to the same
address, as mail clients do when somebody presses theirs (RFC 8058, one-click): that ends the mail.

Nothing here knows of an HTTP framework. No answer holds the id, the name or the address of a user.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

from mojodex import unsubscribing
from mojodex.database import Database
from operate.pages import render
from operate.unsubscribe.words import WORDS, words_for

# What the page's second button sends; everything else ends the mail.
FIELD, AGAIN = "mails", "again"
# No form of ours, and none of a mail client, is longer.
LONGEST_BODY = 1000


class Page(NamedTuple):
    """An answer: the status of HTTP, and a page of HTML."""

    status: int
    html: str


def page(token: str, database: Database, keys: Sequence[str]) -> Page:
    """Show what the token's user gets, with a button to change that. Changes nothing.

    Args:
        token: of the address.
        database: holds the users.
        keys: see `unsubscribing.signing_keys`.

    Raises:
        TransientError: as `Database.session`.
    """
    token_id = unsubscribing.read_token(keys, token)
    if token_id is None:
        return _not_valid()
    return _page(database.with_db_session(unsubscribing.reception, token_id), asks=True)


def submit(token: str, body: str, database: Database, keys: Sequence[str]) -> Page:
    """Do what a form asks for that was posted to the page's address.

    Args:
        token, database, keys: as `page`.
        body: the form: of the page's buttons, or of a mail client.

    Raises:
        TransientError: as `Database.session`.
    """
    wants_again = AGAIN in parse_qs(body[:LONGEST_BODY]).get(FIELD, [])
    return _set(token, database, keys, wanted=wants_again)


def _set(token: str, database: Database, keys: Sequence[str], *, wanted: bool) -> Page:
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
    """Say that a link is not valid, in all languages: whose it is, is not known. The same for every cause."""
    return Page(400, render("unsubscribe/not_valid.html", languages=WORDS.values()))
