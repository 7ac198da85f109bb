"""A worker may die anywhere: after the retry, every row is as after an undisturbed run.

A worker changes the outside world only by a commit, a request or a message. So a test kills it before each
of these in turn, and prevents all later ones, as if the process were gone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Lock
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from documents.web import visit
from mojodex import queues
from mojodex.embeddings import EmbeddingModel
from mojodex.model import Question
from tests.fake_model import FakeModel, relevance
from tests.integration.conftest import Documents
from tests.lambda_events import sqs_event
from tests.website import WORDS


class Killed(BaseException):
    """The worker was killed."""


@dataclass
class Reaper:
    """Kills at this point, counted from 1, and at all later ones. 0 means never."""

    at: int = 0
    points: int = 0
    _lock: Lock = field(default_factory=Lock)

    def point(self, *_: Any) -> None:
        with self._lock:
            self.points += 1
            if self.at and self.points >= self.at:
                raise Killed

    def kills(self, at: int, work: Callable[[], Any]) -> bool:
        """Do the work with a kill at this point. Return whether the work reached it."""
        self.at, self.points = at, 0
        try:
            work()
        except Killed:
            return True
        finally:
            self.at = 0
        return False


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    reaper = Reaper()

    def dangerous(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            reaper.point()
            return function(*args, **kwargs)

        return call

    for owner, name in (
        (Question, "_call"),
        (EmbeddingModel, "_call"),
        (visit, "fetch"),
        (queues, "publish"),
    ):
        monkeypatch.setattr(owner, name, dangerous(getattr(owner, name)))
    event.listen(Session, "before_commit", reaper.point)
    yield reaper
    event.remove(Session, "before_commit", reaper.point)


PARTS = [f"# Part {n}\n" + " ".join(f"w{n}x{i}" for i in range(45)) for n in range(4)]


def pages(documents: Documents) -> list[tuple[Any, ...]]:
    """Return the results of the user's pages, without keys, which differ in each run."""
    return [
        tuple(row)
        for row in documents.mojodex.rows(
            "SELECT url, depth, state, reason, html_hash FROM md_background_page WHERE user_id = :u"
            " ORDER BY page_pk",
            u=documents.user_id,
        )
    ]


def result_of(documents: Documents) -> tuple[Any, ...]:
    job = documents.job()
    # The duration differs in each run.
    outcome = {name: value for name, value in job.outcome.items() if name != "seconds"}
    return job.state, outcome, pages(documents), documents.contents()


def test_a_crawl_killed_at_any_point_has_the_same_result(documents: Documents, reaper: Reaper) -> None:
    documents.site.simple("/", "/a", "/b", "/404")
    documents.site.pages["/404"].status = 404
    documents.read()
    whole = result_of(documents)
    assert (whole[0], len(whole[3])) == ("done", 3)

    for at in count(1):
        documents.user_id = documents.mojodex.user()
        if not reaper.kills(at, documents.ask):
            break
        assert documents.contents() == {}
        documents.lose_leases()
        # The message is delivered again. Messages of pages may be in the queue twice.
        documents.ask()
        bodies = {body["page_pk"]: body for body in documents.pages.queued()}
        assert documents.pages.work(*bodies.values()) == {"batchItemFailures": []}

        assert result_of(documents) == whole, f"killed at point {at}"
    assert at > 20


def test_an_ingestion_killed_at_any_point_has_the_same_result(
    documents: Documents, model: FakeModel, reaper: Reaper
) -> None:
    paragraphs = [f"</p><h2>{part.replace('\n', '</h2><p>')}" for part in PARTS]
    documents.site.html("/", *paragraphs, WORDS.format(thing="menu"))
    model.script = lambda request: relevance(request, lambda chunk: "w2x0" in chunk)
    documents.read()
    whole = result_of(documents)
    (chunks,) = whole[3].values()
    assert len(chunks) > 2

    for at in count(1):
        documents.user_id = documents.mojodex.user()
        documents.ask()
        event = sqs_event(*documents.pages.queued())
        if not reaper.kills(at, partial(documents.pages.work_on, event)):
            break
        # The whole document, or none.
        assert documents.contents() in ({}, whole[3])
        documents.lose_leases()
        assert documents.pages.work_on(event) == {"batchItemFailures": []}

        assert result_of(documents) == whole, f"killed at point {at}"
    assert at > 4


def test_an_ingestion_killed_repeatedly_keeps_its_verdicts(
    documents: Documents, model: FakeModel, reaper: Reaper
) -> None:
    documents.site.simple("/")
    documents.ask()
    event = sqs_event(*documents.pages.queued())

    for at in count(1):
        if not reaper.kills(at, lambda: documents.pages.work_on(event)):
            break
        documents.lose_leases()

    # One kill came between a question and saving its verdicts, so it was asked twice.
    assert len(model.calls) == 2
    assert documents.job().state == "done"
    assert len(documents.documents()) == 1


@pytest.mark.parametrize("kind", ["text", "page"])
def test_an_update_killed_at_any_point_has_the_same_result(
    documents: Documents, reaper: Reaper, kind: str
) -> None:
    documents.site.html("/", WORDS.format(thing="thing"))

    def prepared() -> int:
        """Add a document of a new user, and prepare its new text."""
        documents.user_id = documents.mojodex.user()
        if kind == "text":
            documents.site.pages["/"].body = ""
            return documents.text_document(*(part.replace("w1", "old1") for part in PARTS))
        documents.site.html("/", WORDS.format(thing="thing"))
        documents.read()
        documents.site.html("/", WORDS.format(thing="other thing"))
        return documents.documents()["/"]

    edition = "\n\n".join(PARTS[:3])
    before = after = None
    for at in count(0):
        pk = prepared()
        before = before or documents.contents()
        event = sqs_event({"user_id": documents.user_id, "document_pk": pk, "edition": edition})
        killed = reaper.kills(at, partial(documents.updates.work_on, event))
        after = after or documents.contents()
        if at and not killed:
            break
        assert documents.contents() in (before, after)
        documents.lose_leases()
        assert documents.updates.work_on(event) == {"batchItemFailures": []}

        assert documents.contents() == after, f"killed at point {at}"
        assert documents.mojodex.job(pk, "update_document").state == "done"
    assert before != after
    assert at > 4
