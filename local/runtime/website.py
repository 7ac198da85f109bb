"""Turn a website into documents on the running stack, and show the progress and the pages."""

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
# A document has the name of its page's URL.
PAGES = text("""
    SELECT p.url, p.state, coalesce(p.reason, '') AS reason, (SELECT count(*) FROM md_document d
        JOIN md_document_chunk c ON c.document_fk = d.document_pk
        WHERE d.author_user_id = p.user_id AND d.name = p.url AND NOT d.deleted_by_user) AS chunks
    FROM md_background_page p
    WHERE p.subject = :subject AND p.occasion = :occasion
    ORDER BY p.reason IS NOT NULL, p.page_pk
""")
# Default owner of the documents of `make ingest`.
USER = "local"
NEW_USER = text(
    "INSERT INTO md_user (user_id, email, name, creation_date)"
    " VALUES (:user_id, 'local@example.com', 'Local', now()) ON CONFLICT DO NOTHING"
)
IS_USER = text("SELECT user_id FROM md_user WHERE user_id = :user_id")
HOW_TO_ASK = """
  To look at the documents:

    psql "$(.venv/bin/python -m local env DATABASE_URL)"

    SELECT d.name, c.index, c.chunk_text
    FROM md_document d JOIN md_document_chunk c ON c.document_fk = d.document_pk
    WHERE d.author_user_id = '{user_id}' ORDER BY d.document_pk, c.index;

  To find the chunks that answer a question, order by c.embedding <=> '[…]', with the question's vector from
  the same model.
"""
# Without progress for this long, something is broken.
SECONDS_OF_PATIENCE = 300
# At least, where the output is not a terminal.
SECONDS_BETWEEN_LINES = 3
BAR_COLUMNS = 24
PAGE_COLUMNS = 42


@dataclass(frozen=True)
class Page:
    """The outcome of a page.

    Attributes:
        path: with scheme and host only if they differ from the first page's.
        state: stored, unchanged, skipped, failed.
        chunks: of its document.
        reason: why it was skipped or failed, else ''.
    """

    path: str
    state: str
    chunks: int
    reason: str


@dataclass(frozen=True)
class Learned:
    """The result: the state and the outcome in the ledger, and the pages."""

    state: str
    outcome: dict[str, Any]
    pages: list[Page]


def learn(stack: Stack, connection: Connection, user_id: str, url: str) -> Learned:
    """Publish a message for a website, and show the progress until its job has ended.

    Args:
        stack: the running stack.
        connection: to its database, in autocommit.
        user_id: owner of the documents.
        url: first page of the website.

    Raises:
        StackError: there was no progress; the text has the end of the crawler's log.
    """
    request_id = str(uuid.uuid4())
    stack.publish(
        "CreateFromWebsiteQueueUrl", {"user_id": user_id, "website_url": url, "request_id": request_id}
    )
    return follow(stack, connection, f"{user_id} {url}", request_id)


def follow(stack: Stack, connection: Connection, subject: str, occasion: str) -> Learned:
    """Show the progress of a website until its job has ended.

    Args:
        stack, connection: as `learn`.
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
            raise StackError(f"no progress for {SECONDS_OF_PATIENCE} s\n{logs}")
        time.sleep(0.2)
    rows = connection.execute(PAGES, job).all()
    base = urlsplit(rows[0].url)._replace(path="", query="").geturl() if rows else ""
    pages = [
        Page(page.url.removeprefix(base), page.state, page.chunks, page.reason.replace(f"{base}/", "/"))
        for page in rows
    ]
    return Learned(row.state, row.outcome or {}, pages)


def show_pages(pages: list[Page]) -> None:
    """Print a table of the pages, with the number of chunks or the reason for none."""
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
    """A bar that a terminal redraws in place; elsewhere, a few lines."""

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
    """Turn a website into documents, and print the outcome.

    Args:
        stack: the running stack.
        url: first page of the website, which may be on loopback.
        user_id: owner of the documents; '' for `USER`, who is created if missing.

    Returns:
        Whether its job is done.

    Raises:
        StackError: there is no such user, or there was no progress.
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
        print(f"\n  The crawl stopped at its limit of {limit}.")
    if learned.state != "done":
        print(f"\nThe website failed: {learned.outcome.get('reason', learned.state)}", file=sys.stderr)
        return False
    print(HOW_TO_ASK.format(user_id=user_id.replace("'", "''")))
    return True


def is_loopback(url: str) -> bool:
    """Tell whether a URL, with or without a scheme, is on this machine."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
