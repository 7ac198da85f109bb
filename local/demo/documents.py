"""The fourth part: a website becomes searchable documents, and they stay current (documents)."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from local.demo import stories
from local.demo.site import (
    ALIASES,
    BOILERPLATE,
    BROKEN,
    CATALOGUE,
    FORBIDDEN,
    LURE,
    NOISE,
    PAGES,
    REDIRECTS,
    UNLINKED,
    Site,
)
from local.demo.stage import SECONDS_TO_DRAIN, DemoError, Stage
from local.runtime import model, terminal, website
from local.runtime.website import FINAL, Learned

HOSTILE = "/partners"
# Pages that are skipped or fail, each with a part of its reason.
NOT_STORED = {
    **dict.fromkeys(ALIASES, "its canonical address is"),
    **dict.fromkeys(REDIRECTS, "it redirects to"),
    FORBIDDEN: "robots.txt",
    LURE: "another site",
    BROKEN: "500",
}
# Path, a passage, its replacement, and the number of unchanged chunks.
CHANGES = (
    (
        "/pricing",
        "costs 19 euros for each order, whatever its weight, and is free from 400 euros on",
        "costs 12 euros for each order, whatever its weight, and is free from 250 euros on",
        2,
    ),
    ("/blog/spring-range", "second Thursday of\nMarch", "first Tuesday of\nApril", 1),
)
# A question, the end of the document's name that answers it, and words of the chunk.
QUESTIONS = (
    ("What does delivery within France cost?", "/pricing", "costs 12 euros"),
    ("Which jams contain nuts?", "/allergens", "contains walnuts"),
    # From a PDF, with its page; and from the footer of every page, which is kept once.
    ("What does the box of chestnut wood cost?", CATALOGUE, "page 2 Six jars"),
    ("When is the lost property office open?", "/", "open on Wednesdays"),
    ("What did we agree with Martin Keller on the delivery fee?", stories.NOTES_NAME, "pay nothing at all"),
)
# What a refresh finds: a page, a passage and its replacement; and a removed page.
CHANGED = ("/contact", "10:00 to 18:30", "9:00 to 19:00")
REMOVED = "/team"
CHUNK_CHARS = 120

DOCUMENT = "SELECT document_pk FROM md_document WHERE author_user_id = :user_id AND name = :name"
CHUNKS = """
    SELECT d.name, c.chunk_text FROM md_document d JOIN md_document_chunk c ON c.document_fk = d.document_pk
    WHERE d.author_user_id = :user_id
"""
UPDATED = "SELECT * FROM md_background_job WHERE process = 'update_document' AND subject = :subject"
DUE = """
    UPDATE md_background_website SET refresh_at = now() WHERE user_id = :user_id RETURNING site
"""
A_DAY_PASSES = """
    UPDATE md_background_document SET missing_since = missing_since - interval '1 day' RETURNING document_fk
"""
REFRESH = """
    SELECT subject, occasion FROM md_background_job
    WHERE process = 'create_from_website' AND starts_with(subject, :user_id || ' ')
        AND starts_with(occasion, 'refresh') ORDER BY queued_at DESC LIMIT 1
"""
GONE = """
    SELECT d.deleted_by_user, (
        SELECT count(*) FROM md_document_chunk c WHERE c.document_fk = d.document_pk
    ) AS chunks
    FROM md_document d WHERE d.author_user_id = :user_id AND d.name = :name
"""
NEAREST = """
    SELECT d.name, c.chunk_text, c.embedding <=> CAST(:question AS vector) AS distance
    FROM md_document d JOIN md_document_chunk c ON c.document_fk = d.document_pk
    WHERE d.author_user_id = :user_id AND NOT d.deleted_by_user AND c.deleted IS NULL
    ORDER BY distance LIMIT 1
"""


def show(stage: Stage) -> list[str]:
    """Serve a website, let the bundle read it, change it, ask questions, and return the problems.

    Raises:
        DemoError: an update did not end in time.
        StackError: as `website.learn`.
    """
    terminal.heading("4  A website becomes searchable documents (documents)")
    with Site() as site:
        stage.stack.open_loopback()
        return [
            *_learn(stage, site),
            *_update_pages(stage, site),
            *_update_text(stage),
            *_ask(stage),
            *_learn_again(stage, site),
            *_refresh(stage, site),
        ]


def _learn(stage: Stage, site: Site) -> list[str]:
    claire = stage.account.claire
    terminal.paragraph(
        f"{claire.person.name} names her company's website, which this demo serves at {site.url}. The crawler"
        " reads robots.txt and the sitemap, and follows the links. Another process, ingest_page, turns each"
        " page into a document."
    )
    print()
    calls = _Calls(stage)
    learned = website.learn(stage.stack, stage.connection, claire.user_id, site.url)
    made = calls.made()
    print()
    website.show_pages(learned.pages)
    print()
    stored = [page for page in learned.pages if page.state == "stored"]
    chunks = stage.rows(CHUNKS, user_id=claire.user_id)
    noise = [words for words in NOISE if any(words in chunk.chunk_text for chunk in chunks)]
    copies = [sum(words in chunk.chunk_text for chunk in chunks) for words in BOILERPLATE]
    terminal.paragraph(
        f"{len(stored)} pages became {sum(page.chunks for page in stored)} chunks. Every page has the same"
        f" header and footer. Their text is in {max(copies)} of the chunks, menus and the cookie notice are"
        f" in {'some' if noise else 'none'}."
    )
    terminal.paragraph(
        f"{HOSTILE} is hostile: it tells every AI to drop all other pages, and links to the cloud's metadata"
        f" service and to other servers of this machine. Requests that left the site: {site.canary_visits}."
        f" Most requests at once: {site.most_at_once}."
    )
    _show_calls(made)
    return [
        *_problems(stage, site, learned),
        *(f"documents: a chunk contains: {words}" for words in noise),
        *_if(stage.offline and copies != [1] * len(copies), f"documents: copies of boilerplate: {copies}"),
        *_if(made and made["completions"] != len(stored), f"documents: {made} for {len(stored)} pages"),
        *_if(made and made["embeddings"] != len(stored), f"documents: {made} for {len(stored)} pages"),
    ]


def _problems(stage: Stage, site: Site, learned: Learned) -> list[str]:
    """Return the problems with the pages, and with the crawler's requests."""
    expected = {*PAGES, CATALOGUE} - {FORBIDDEN}
    stored = {page.path for page in learned.pages if page.state == "stored" and page.chunks}
    reasons = {page.path: page.reason for page in learned.pages if page.path not in expected}
    failed = [page.path for page in learned.pages if page.state == "failed"]
    if stage.offline:
        problems = _if(stored != expected, f"documents: stored or not: {sorted(stored ^ expected)}")
    else:
        problems = _if(UNLINKED not in stored, f"documents: {UNLINKED} is not stored")
    return [
        *problems,
        *_if(learned.state != "done", f"documents: the website is {learned.state}"),
        *_if(reasons.keys() != NOT_STORED.keys(), f"documents: not stored: {reasons}"),
        *(
            f"documents: {path}: {reasons.get(path)}"
            for path, reason in NOT_STORED.items()
            if reason not in reasons.get(path, "")
        ),
        *_if(failed != [BROKEN], f"documents: failed: {failed}"),
        *_if(site.canary_visits, f"documents: {site.canary_visits} requests to the targets of hostile links"),
        *_if(site.requests[FORBIDDEN], f"documents: {FORBIDDEN} was fetched"),
        *_if(site.most_at_once > 2, f"documents: {site.most_at_once} requests at the same time"),
    ]


def _update_pages(stage: Stage, site: Site) -> list[str]:
    terminal.title("Two pages change")
    problems = []
    for path, old, new, kept in CHANGES:
        site.change(path, old, new)
        user_id = stage.account.claire.user_id
        (document,) = stage.rows(DOCUMENT, user_id=user_id, name=site.base + path)
        print(f"  {path}: “… {' '.join(new.split())} …”")
        problems += _update(stage, document.document_pk, (kept, 1, 1))
    return problems


def _update_text(stage: Stage) -> list[str]:
    terminal.title("Claire edits a text that Mojo has learned")
    notes, problems = stage.account.notes, []
    print(f"  “{stories.NOTES_NAME}”, a new first paragraph:")
    if not stage.offline:
        # The seed cannot embed with the caller's model.
        problems += _update(stage, notes, (0, len(stories.NOTES), 0), "\n\n".join(stories.NOTES))
    edition = "\n\n".join((stories.NOTES_EDITED, *stories.NOTES[1:]))
    return problems + _update(stage, notes, (len(stories.NOTES) - 1, 1, 1), edition)


def _update(
    stage: Stage, document_pk: int, expected: tuple[int, int, int], edition: str | None = None
) -> list[str]:
    """Update a document, and show how many of its chunks are kept, new and gone."""
    message: dict[str, Any] = {"user_id": stage.account.claire.user_id, "document_pk": document_pk}
    before = len(stage.rows(UPDATED, subject=str(document_pk)))
    calls = _Calls(stage)
    stage.stack.publish("UpdateDocumentQueueUrl", message | ({"edition": edition} if edition else {}))
    job = _ended(stage, document_pk, before)
    outcome = job.outcome or {}
    counts = tuple(outcome.get(name, 0) for name in ("kept", "new", "gone"))
    print("    chunks: {} kept, {} new, {} gone".format(*counts))
    made = calls.made()
    _show_calls(made, indent="    ")
    if job.state != "done":
        return [f"documents: update of {document_pk} is {job.state}: {outcome.get('reason')}"]
    # A real model may judge a chunk irrelevant.
    if not stage.offline:
        return []
    once = {"completions": 1, "embeddings": 1, "texts_embedded": expected[1]}
    return [
        *_if(counts != expected, f"documents: update of {document_pk}: kept, new, gone {counts}"),
        *_if(made != once, f"documents: update of {document_pk}: {made}"),
    ]


def _ended(stage: Stage, document_pk: int, before: int) -> Row[Any]:
    """Wait for the next update of a document, after `before` earlier ones, and return its job."""
    deadline = time.monotonic() + SECONDS_TO_DRAIN
    while time.monotonic() < deadline:
        jobs = sorted(stage.rows(UPDATED, subject=str(document_pk)), key=lambda job: str(job.occasion))
        if len(jobs) > before and jobs[-1].state in FINAL:
            return jobs[-1]
        time.sleep(0.2)
    raise DemoError(f"the update of document {document_pk} did not end in {SECONDS_TO_DRAIN} s")


def _ask(stage: Stage) -> list[str]:
    terminal.title("Five questions, answered by cosine distance (embedding <=> question)")
    problems = []
    for question, name, words in QUESTIONS:
        vector = str(model.question(question))
        (nearest,) = stage.rows(NEAREST, user_id=stage.account.claire.user_id, question=vector)
        terminal.with_note(question, f"distance {nearest.distance:.3f}")
        terminal.paragraph(f"{nearest.name}", indent="    ")
        terminal.paragraph(f"“{_beginning(nearest.chunk_text)}”", indent="    ")
        if not nearest.name.endswith(name) or words not in " ".join(nearest.chunk_text.split()):
            problems.append(f"documents: “{question}” is answered by {nearest.name}")
    return problems


def _beginning(chunk: str) -> str:
    text = " ".join(chunk.split())
    return text if len(text) <= CHUNK_CHARS else f"{text[:CHUNK_CHARS].rstrip()} …"


def _learn_again(stage: Stage, site: Site) -> list[str]:
    terminal.title("The same website again, unchanged since")
    calls = _Calls(stage)
    learned = website.learn(stage.stack, stage.connection, stage.account.claire.user_id, site.url)
    made = calls.made()
    _show_calls(made)
    pages: Sequence[str] = [page.path for page in learned.pages if page.state == "unchanged"]
    return [
        *_if(learned.state != "done", f"documents: again: the website is {learned.state}"),
        *_if(learned.outcome["stored"], f"documents: again: {learned.outcome['stored']} pages stored"),
        *_if(UNLINKED not in pages, f"documents: again: unchanged are {pages}"),
        *_if(any((made or {}).values()), f"documents: again: {made}"),
    ]


def _refresh(stage: Stage, site: Site) -> list[str]:
    """Change a page, remove another one, and let the days pass until refreshes have noticed it."""
    terminal.title("A week later: the website is refreshed")
    path, old, new = CHANGED
    site.change(path, old, new)
    site.remove(REMOVED)
    terminal.paragraph(
        f"{path} has changed, and {REMOVED} is gone. No message is needed: after RefreshDays, the schedule"
        " finds that the website is due. The crawler requests each known page once, with its ETag."
    )
    print()
    calls = _Calls(stage)
    site.requests.clear()
    refreshed = _refreshed(stage)
    made = calls.made()
    # A broken page is requested three times.
    more_than_once = [path for path, times in site.requests.items() if times > 1 and path != BROKEN]
    first = _show_changes(site, refreshed)
    _show_calls(made)
    print()
    terminal.paragraph("A day later it checks again, because a page may be missing by mistake:")
    stage.rows(A_DAY_PASSES)
    second = _show_changes(site, _refreshed(stage))
    (document,) = stage.rows(GONE, user_id=stage.account.claire.user_id, name=site.base + REMOVED)
    return [
        *_if(first != {path: "changed", REMOVED: "missing"}, f"documents: refresh: {first}"),
        *_if(second != {REMOVED: "gone"}, f"documents: refresh, a day later: {second}"),
        *_if(more_than_once, f"documents: refresh: requested more than once: {more_than_once}"),
        *_if(stage.offline and (made or {}).get("completions") != 1, f"documents: refresh: {made}"),
        *_if(
            document != (True, 0), f"documents: refresh: {REMOVED} still has a document or chunks: {document}"
        ),
    ]


def _refreshed(stage: Stage) -> Learned:
    """Make the website due, run the schedule, and wait for the end of the refresh."""
    user_id = stage.account.claire.user_id
    stage.rows(DUE, user_id=user_id)
    stage.fire("DocumentsScheduleFunction")
    (job,) = stage.rows(REFRESH, user_id=user_id)
    return website.follow(stage.stack, stage.connection, job.subject, job.occasion)


def _show_changes(site: Site, refreshed: Learned) -> dict[str, str]:
    """Print the changes that a refresh found, and return them by path."""
    changes = {
        page["url"].removeprefix(site.base): page["change"] for page in refreshed.outcome.get("changes", [])
    }
    reasons = {page.path: page.reason for page in refreshed.pages if page.reason}
    for path, change in changes.items():
        print(f"  {path}: {change}{f' ({reasons[path]})' if path in reasons else ''}")
    return changes


class _Calls:
    """A count of the calls to the stand-in from now on. Other models do not count."""

    def __init__(self, stage: Stage) -> None:
        self._stack = stage.stack if stage.offline else None
        self._before = self._stack.model_calls() if self._stack else {}

    def made(self) -> dict[str, int] | None:
        if self._stack is None:
            return None
        return {name: number - self._before[name] for name, number in self._stack.model_calls().items()}


def _show_calls(made: dict[str, int] | None, indent: str = "  ") -> None:
    if made is not None:
        texts = f"{made['texts_embedded']} {'text' if made['texts_embedded'] == 1 else 'texts'}"
        print(
            f"{indent}calls to the model: {made['completions']} for relevance,"
            f" {made['embeddings']} for embeddings of {texts}"
        )


def _if(is_wrong: object, problem: str) -> list[str]:
    return [problem] if is_wrong else []
