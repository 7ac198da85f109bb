"""A website that the running stack is told to learn: the message, how far it is, what became of its pages."""

import ipaddress
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, create_engine, text

from local.runtime import terminal
from local.runtime.deploy import StackError
from local.runtime.stack import Stack

PROCESS = "create_from_website"
WORKER = "CreateFromWebsiteWorkerFunction"
FINAL = ("done", "failed", "skipped")
JOB = text(
    "SELECT state, outcome FROM md_background_job"
    f" WHERE process = '{PROCESS}' AND subject = :subject AND occasion = :occasion"
)
# Chunks only of pages that became documents, which are named after them.
PAGES = text("""
    SELECT p.url, p.state, coalesce(p.reason, '') AS reason, (SELECT count(*) FROM md_document d
        JOIN md_document_chunk c ON c.document_fk = d.document_pk
        WHERE d.author_user_id = p.user_id AND d.name = p.url AND NOT d.deleted_by_user) AS chunks
    FROM md_background_page p
    WHERE p.subject = :subject AND p.occasion = :occasion
    ORDER BY p.reason IS NOT NULL, p.page_pk
""")
# Whose documents those of `make ingest` are, unless it is told.
USER = "local"
NEW_USER = text(
    "INSERT INTO md_user (user_id, email, name, creation_date)"
    " VALUES (:user_id, 'local@example.com', 'Local', now()) ON CONFLICT DO NOTHING"
)
IS_USER = text("SELECT user_id FROM md_user WHERE user_id = :user_id")
HOW_TO_ASK = """
  To look at it:

    psql "$(.venv/bin/python -m local env DATABASE_URL | sed 's/+pg8000//; s/ /%20/g')"

    SELECT d.name, c.index, c.chunk_text
    FROM md_document d JOIN md_document_chunk c ON c.document_fk = d.document_pk
    WHERE d.author_user_id = '{user_id}' ORDER BY d.document_pk, c.index;

  The chunks that answer a question have the smallest c.embedding <=> '[…]', with the question's vector of
  the same model.
"""
# Without any change for so long, something is broken.
SECONDS_OF_PATIENCE = 300
# Where lines follow one another, one is printed so often at most.
SECONDS_BETWEEN_LINES = 3
BAR_COLUMNS = 24
PAGE_COLUMNS = 42


@dataclass(frozen=True)
class Page:
    """What became of a page.

    Attributes:
        path: with scheme and host only where they are others than the first page's.
        state: stored, unchanged, skipped, failed.
        chunks: of its document.
        reason: why it was skipped, or failed; else empty.
    """

    path: str
    state: str
    chunks: int
    reason: str


@dataclass(frozen=True)
class Learned:
    """How it ended: the state and the outcome in the ledger, and the pages."""

    state: str
    outcome: dict[str, Any]
    pages: list[Page]


def learn(stack: Stack, connection: Connection, user_id: str, url: str) -> Learned:
    """Publish a message for a website, and show how far it is until its job has ended.

    Args:
        stack: the running stack.
        connection: to its database, in autocommit.
        user_id: whose documents.
        url: where the website begins.

    Raises:
        StackError: nothing happens any more; the text has the end of the crawler's log.
    """
    request_id = str(uuid.uuid4())
    stack.publish(
        "CreateFromWebsiteQueueUrl", {"user_id": user_id, "website_url": url, "request_id": request_id}
    )
    return follow(stack, connection, f"{user_id} {url}", request_id)


def follow(stack: Stack, connection: Connection, subject: str, occasion: str) -> Learned:
    """Show how far a website is until its job has ended.

    Args:
        stack, connection: as of `learn`.
        subject, occasion: of the job.

    Raises:
        StackError: as `learn`.
    """
    job = {"subject": subject, "occasion": occasion}
    seen, changed = None, time.monotonic()
    progress = _Progress()
    while True:
        row = connection.execute(JOB, job).one_or_none()
        if row != seen:
            seen, changed = row, time.monotonic()
        if row is not None:
            progress.show(row.outcome or {}, ended=row.state in FINAL)
            if row.state in FINAL:
                break
        if time.monotonic() - changed > SECONDS_OF_PATIENCE:
            logs = "\n".join(stack.logs(WORKER)[-10:])
            raise StackError(f"nothing has happened for {SECONDS_OF_PATIENCE} s\n{logs}")
        time.sleep(0.2)
    rows = connection.execute(PAGES, job).all()
    base = urlsplit(rows[0].url)._replace(path="", query="").geturl() if rows else ""
    pages = [
        Page(page.url.removeprefix(base), page.state, page.chunks, page.reason.replace(f"{base}/", "/"))
        for page in rows
    ]
    return Learned(row.state, row.outcome or {}, pages)


def show_pages(pages: list[Page]) -> None:
    """Print a table of the pages: how many chunks each has, or why it has none."""
    terminal.table(
        [
            ("page", "state", "chunks", "reason"),
            *(
                (_cut(page.path), page.state, "" if page.reason else f"{page.chunks:>6}", page.reason)
                for page in pages
            ),
        ]
    )


def _cut(path: str) -> str:
    return path if len(path) <= PAGE_COLUMNS else path[: PAGE_COLUMNS - 1] + "…"


class _Progress:
    """A bar that is drawn over itself on a terminal; elsewhere, some lines."""

    def __init__(self) -> None:
        self._shown, self._at = "", 0.0

    def show(self, outcome: dict[str, Any], *, ended: bool) -> None:
        if not (ended or outcome.get("found")):
            return
        line = self._line(outcome)
        if sys.stdout.isatty():
            print(f"\r  {line} ", end="\n" if ended else "", flush=True)
        elif ended or (line != self._shown and time.monotonic() - self._at > SECONDS_BETWEEN_LINES):
            print(f"  {line}", flush=True)
            self._shown, self._at = line, time.monotonic()

    def _line(self, outcome: dict[str, Any]) -> str:
        found, waiting = (int(outcome.get(name, 0)) for name in ("found", "waiting"))
        full = BAR_COLUMNS * (found - waiting) // found if found else 0
        bar = "█" * full + "░" * (BAR_COLUMNS - full)
        counts = "   ".join(
            f"{name} {outcome.get(name, 0)}" for name in ("stored", "unchanged", "skipped", "failed")
        )
        return f"{bar}  {found - waiting} of {found} pages   {counts}"


def run(stack: Stack, url: str, user_id: str) -> bool:
    """Let a stack learn a website, and print what became of it.

    Args:
        stack: the running stack.
        url: where the website begins; on loopback, too.
        user_id: whose documents; `USER`, who is made if need be, where it is empty.

    Returns:
        Whether it was learned.

    Raises:
        StackError: there is no such user, or nothing happens any more.
    """
    engine = create_engine(stack.database.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if not user_id:
                user_id = USER
                connection.execute(NEW_USER, {"user_id": user_id})
            elif connection.execute(IS_USER, {"user_id": user_id}).one_or_none() is None:
                raise StackError(f"there is no user {user_id} in md_user")
            if is_loopback(url):
                stack.open_loopback()
            learned = learn(stack, connection, user_id, url)
    finally:
        engine.dispose()
    print()
    if learned.pages:
        show_pages(learned.pages)
    for limit in learned.outcome.get("limits", []):
        print(f"\n  It ended at the limit of {limit}.")
    if learned.state != "done":
        print(f"\nNot learned: {learned.outcome.get('reason', learned.state)}", file=sys.stderr)
        return False
    print(HOW_TO_ASK.format(user_id=user_id.replace("'", "''")))
    return True


def is_loopback(url: str) -> bool:
    """Tell whether an address, with or without a scheme, is of this machine."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
