"""The deployed bundle reads websites: with killed workers, and with a hostile site."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from local.runtime.stack import ROOT
from tests.fake_model import Reply, embedded, relevance
from tests.hostile_site import Page, answer, hostile_page, raw, redirect, serve_pages
from tests.stack.conftest import CRAWL_PAGE_LIMIT, Deployed, eventually
from tests.website import Website, website

# Place and text of each chunk of a document. Documents are keyed by the paths of their pages.
type Chunks = tuple[tuple[int, str], ...]
type Documents = dict[str, Chunks]


@dataclass
class Reader:
    """A user for whom the bundle reads a website."""

    deployed: Deployed
    user_id: str
    url: str

    def ask(self, request: str = "r1") -> None:
        """Ask for the website."""
        body = {"user_id": self.user_id, "website_url": self.url, "request_id": request}
        self.deployed.of("create_from_website").send(json.dumps(body))

    def job(self, request: str = "r1") -> Any:
        """Return the website's row of the ledger, or None."""
        rows = self.deployed.mojodex.rows(
            "SELECT * FROM md_background_job WHERE process = 'create_from_website' AND subject = :s"
            " AND occasion = :o",
            s=f"{self.user_id} {self.url}",
            o=request,
        )
        return rows[0] if rows else None

    def wait(self, request: str = "r1") -> Any:
        """Wait until the website's job has finished and return its row."""
        return eventually(
            "the website's job has finished",
            lambda: (job := self.job(request)) and job.finished_at and job,
            lambda: f"{self.job(request)}\n{self.deployed.of('ingest_page').worker_logs()}",
        )

    def read(self, request: str = "r1") -> Any:
        """Ask for the website and wait until it was read."""
        self.ask(request)
        return self.wait(request)

    def documents(self) -> Documents:
        """Return the user's documents in one snapshot."""
        found: dict[str, list[tuple[int, str]]] = {}
        for row in self.deployed.mojodex.rows(
            "SELECT name, index AS place, chunk_text FROM md_document"
            " LEFT JOIN md_document_chunk ON document_fk = document_pk"
            " WHERE author_user_id = :u ORDER BY name, place",
            u=self.user_id,
        ):
            found.setdefault(row.name.removeprefix(self.url), []).append((row.place, row.chunk_text))
        return {path: tuple(chunks) for path, chunks in found.items()}

    @contextmanager
    def watched(self) -> Iterator[list[Documents]]:
        """Read the documents over and over, and collect each distinct state."""
        seen: list[Documents] = []
        stop = Event()

        def look() -> None:
            while not stop.wait(0.02):
                if (now := self.documents()) not in seen:
                    seen.append(now)

        thread = Thread(target=look)
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def site() -> Iterator[Website]:
    with website() as running:
        yield running


@pytest.fixture
def reader(deployed: Deployed, site: Website) -> Callable[[], Reader]:
    """Make users. The model finds everything relevant."""
    deployed.model.script = relevance
    return lambda: Reader(deployed, deployed.mojodex.user(), site.url)


def story(about: str) -> list[str]:
    """Make a unique text of several chunks."""
    return [
        f"Chapter {number} of the story of {about} tells how the old mill learned to make {about}, and how"
        f" long that took. In the year {1921 + number} nobody near had seen such a thing, and whoever"
        f" came by asked what {about} was good for; answer number {number} is on the wall of the mill."
        for number in range(12)
    ]


def fill(site: Website, *things: str) -> None:
    """Add a first page that links to one page for each thing."""
    paths = tuple(f"/{thing}" for thing in things)
    site.html("/", *story("everything"), links=paths)
    for thing in things:
        site.html(f"/{thing}", *story(thing))


def hold(site: Website, path: str) -> tuple[Event, Event]:
    """Hold a page back. Return an event that is set when it is requested, and one that releases it."""
    asked, resume = Event(), Event()

    def before(requested: str) -> None:
        if requested == path:
            asked.set()
            resume.wait(60)

    site.before = before
    return asked, resume


def test_a_website_becomes_documents_and_is_not_paid_for_twice(
    deployed: Deployed, site: Website, reader: Callable[[], Reader], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its progress is always visible, and the schedule finds nothing that stands still."""
    fill(site, "paper", "pens", "ink", "twine", "glue")
    ann = reader()
    asked, resume = hold(site, "/ink")
    # Start the function first, because the crawler gives up a held page after 20 seconds.
    scheduled = [deployed.stack.invoke("DocumentsScheduleFunction")]

    began = time.monotonic()
    ann.ask()
    assert asked.wait(60)
    eventually("the first page is read", lambda: (ann.job().outcome or {}).get("found") == 6, ann.job)
    underway = ann.job()
    scheduled.append(deployed.stack.invoke("DocumentsScheduleFunction"))
    resume.set()
    job = ann.wait()
    seconds = time.monotonic() - began
    scheduled.append(deployed.stack.invoke("DocumentsScheduleFunction"))

    assert underway.state == "running"
    assert (underway.outcome["crawled"], underway.outcome["stored"]) == (False, 0)
    assert underway.outcome["waiting"] == 6
    assert (job.state, job.outcome["found"], job.outcome["stored"]) == ("done", 6, 6)
    assert scheduled == [({"published": 0}, True)] * 3
    documents = ann.documents()
    assert sorted(documents) == ["/", "/glue", "/ink", "/paper", "/pens", "/twine"]
    assert all(len(chunks) > 2 for chunks in documents.values())
    # Boilerplate is kept once, on the page where the crawl began.
    assert [path for path in documents if "rights reserved" in str(documents[path])] == ["/"]
    assert str(documents).count("rights reserved") == 1
    calls = len(deployed.model.calls), len(deployed.model.embeddings)
    assert calls == (6, 6)

    again = ann.read("r2")

    assert (again.state, again.outcome["unchanged"]) == ("done", 6)
    assert (len(deployed.model.calls), len(deployed.model.embeddings)) == calls
    assert ann.documents() == documents
    with capsys.disabled():
        sys.stdout.write(f"\nA website of 6 pages: {seconds:.1f} s, {sum(calls)} calls of the model\n")


def test_a_killed_crawler_continues_from_its_checkpoint(
    deployed: Deployed, site: Website, reader: Callable[[], Reader]
) -> None:
    crawler = deployed.of("create_from_website")
    fill(site, "paper", "pens", "ink", "twine", "glue", "wax", "chalk")
    undisturbed, disturbed = reader(), reader()
    undisturbed.read()
    asked, resume = hold(site, "/twine")

    with crawler.quick_redelivery():
        disturbed.ask()
        assert asked.wait(60)
        # The pages before it are fetched, and some of the later ones.
        staged = "SELECT url FROM md_background_page WHERE user_id = :u AND state = 'staged'"
        eventually(
            "the pages before are staged",
            lambda: len(deployed.mojodex.rows(staged, u=disturbed.user_id)) == 4,
        )
        assert crawler.kill_workers() >= 1
        kept = {row.url.removeprefix(site.url) for row in deployed.mojodex.rows(staged, u=disturbed.user_id)}
        site.asked()
        resume.set()
        crawler.expire_leases()
        job = disturbed.wait()
        crawler.wait_until_drained()

    assert (job.state, job.attempts) == ("done", 2)
    assert kept == {"/", "/paper", "/pens", "/ink"}
    assert kept.isdisjoint(site.asked())
    assert disturbed.documents() == undisturbed.documents()


@pytest.mark.parametrize("call", ["chat", "embeddings"])
def test_a_worker_killed_while_it_ingests_a_page_leaves_no_partial_document(
    deployed: Deployed, site: Website, reader: Callable[[], Reader], call: str
) -> None:
    worker = deployed.of("ingest_page")
    fill(site, "paper", "pens")
    undisturbed, disturbed = reader(), reader()
    undisturbed.read()
    expected = undisturbed.documents()
    thinking, resume = Event(), Event()

    def after_a_while(request: dict[str, Any], reply: Callable[[dict[str, Any]], Reply]) -> Reply:
        # The other pages are ingested and stay.
        if "make paper" in str(request):
            thinking.set()
            resume.wait(60)
        return reply(request)

    if call == "chat":
        deployed.model.script = lambda request: after_a_while(request, relevance)
    else:
        deployed.model.embed = lambda request: after_a_while(request, embedded)
    with worker.quick_redelivery(), disturbed.watched() as seen:
        disturbed.ask()
        assert thinking.wait(60)
        assert worker.kill_workers() >= 1
        resume.set()
        worker.expire_leases()
        job = disturbed.wait()
        worker.wait_until_drained()

    attempts = "SELECT max(attempts) FROM md_background_job WHERE process = 'ingest_page'"
    assert (job.state, deployed.mojodex.run(attempts)) == ("done", 2)
    assert disturbed.documents() == expected
    assert all(documents.items() <= expected.items() for documents in seen)


def test_a_worker_killed_while_it_updates_a_document_leaves_no_partial_document(
    deployed: Deployed, site: Website, reader: Callable[[], Reader]
) -> None:
    worker = deployed.of("update_document")
    fill(site)
    ann, bob = reader(), reader()
    ann.read()
    old = ann.documents()
    new_story = [
        "The mill has burnt down in the night, and nobody makes anything there any more.",
        *story("ash"),
    ]
    site.html("/", *story("everything")[:6], *new_story)
    bob.read()
    new = bob.documents()
    thinking, resume = Event(), Event()

    def after_a_while(request: dict[str, Any]) -> Reply:
        thinking.set()
        resume.wait(60)
        return embedded(request)

    deployed.model.embed = after_a_while
    pk = deployed.mojodex.run("SELECT document_pk FROM md_document WHERE author_user_id = :u", u=ann.user_id)
    with worker.quick_redelivery(), ann.watched() as seen:
        worker.send(json.dumps({"user_id": ann.user_id, "document_pk": pk}))
        assert thinking.wait(60)
        assert worker.kill_workers() >= 1
        assert ann.documents() == old
        resume.set()
        worker.expire_leases()
        assert worker.wait_for(pk, "done").attempts == 2
        worker.wait_until_drained()

    assert ann.documents() == new
    assert old != new
    assert all(documents in (old, new) for documents in seen)


def test_a_hostile_website_is_read_within_its_limits_of_time_and_memory(
    deployed: Deployed, reader: Callable[[], Reader], capsys: pytest.CaptureFixture[str]
) -> None:
    crawler = deployed.of("create_from_website")
    links = (
        *("/endless-body", "/slow-body", "/gzip-bomb", "/circle", "/metadata", "/not-http", "/large"),
        *("/large-sized", "/endless-chunks", "/nested-gzip", "/to-file", "/cut-gzip", "/pdf", "/many"),
        *("mailto:a@example.com", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"),
        *("ftp://127.0.0.1/x", "tel:+441", "gopher://127.0.0.1:70/", "http://[", "http://127.0.0.1:0/"),
        "http://169.254.169.254/latest/meta-data/",
    )
    text = "".join(f"<p>{paragraph}</p>" for paragraph in story("malice"))
    first = text + "".join(f'<a href="{link}">a link</a> ' for link in links)
    many = text + "".join(f'<li><a href="/nothing/{number}">link {number}</a>' for number in range(10_000))

    with ExitStack() as servers:
        canary = servers.enter_context(serve_pages(lambda _path: raw(b"220 mail.example.org ESMTP\r\n")))
        pages: dict[str, Page] = {
            "/": answer(first.encode()),
            "/many": answer(many.encode()),
            "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
            "/not-http": redirect(f"http://127.0.0.1:{canary.port}/"),
        }
        site = servers.enter_context(serve_pages(lambda path: pages.get(path) or hostile_page(path)))
        ann = reader()
        ann.url = site.url

        began = time.monotonic()
        job = ann.read()
        seconds = time.monotonic() - began
        peak = max(process_peak(worker.pid) for worker in crawler.workers())

    reasons = {page["url"].removeprefix(site.url): page["reason"] for page in job.outcome["not_stored"]}
    with capsys.disabled():
        sys.stdout.write(f"\nA hostile website: {seconds:.1f} s, the crawler's peak is {peak} MiB\n")
    assert (job.state, sorted(ann.documents())) == ("done", ["/", "/many"])
    assert {path: reason for path, reason in reasons.items() if "nothing" not in path} == {
        "/endless-body": "larger than 5000000 bytes",
        "/slow-body": "it takes too long",
        "/gzip-bomb": "larger than 5000000 bytes",
        "/circle": "it redirects in a circle",
        "/metadata": "it redirects to another site (169.254.169.254)",
        "/not-http": "it redirects to another site (127.0.0.1)",
        "/large": "larger than 5000000 bytes",
        "/large-sized": "larger than 5000000 bytes",
        "/endless-chunks": "larger than 5000000 bytes",
        "/nested-gzip": "its content encoding is not known",
        "/to-file": "scheme file is not allowed",
        "/cut-gzip": "its content cannot be decoded",
        "/pdf": "it is not a PDF, or a broken one",
    }
    assert job.outcome["found"] <= 3 * CRAWL_PAGE_LIMIT + 1
    assert canary.connections == 0
    assert seconds < 80
    assert peak < memory_of("CreateFromWebsiteWorkerFunction")


def process_peak(pid: int) -> int:
    """Return the peak memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


def memory_of(function: str) -> int:
    """Return the memory of a function in the template, in MiB."""
    template = (ROOT / "template.yaml").read_text()
    resource = template.partition(f"\n  {function}:\n")[2]
    return int(yaml.safe_load(resource.partition("MemorySize: ")[2].partition("\n")[0]))


def test_two_websites_on_one_host_share_its_two_slots(
    deployed: Deployed, site: Website, reader: Callable[[], Reader], capsys: pytest.CaptureFixture[str]
) -> None:
    at_once, both = [], Event()

    def before(_path: str) -> None:
        # The first pages wait until the other worker has started.
        both.wait(15)
        at_once.append(site.running + other.running)

    with website() as other:
        ann, bob = reader(), reader()
        bob.url = other.url
        for each in (site, other):
            each.simple("/", *(f"/{number}" for number in range(CRAWL_PAGE_LIMIT - 1)))
            each.before = before
            for page in each.pages.values():
                page.delay = 0.1

        # Send each in a batch of its own, so that two workers get them.
        ann.ask()
        eventually("the first job has begun", ann.job)
        bob.ask()
        eventually("the second job has begun", bob.job)
        first = ann.job()
        both.set()
        jobs = ann.wait(), bob.wait()

    with capsys.disabled():
        sys.stdout.write(f"\nTwo websites on one host: {max(at_once)} requests at once\n")
    assert not (first.outcome or {}).get("crawled")
    assert len(deployed.of("create_from_website").workers()) == 2
    assert [job.outcome["stored"] for job in jobs] == [CRAWL_PAGE_LIMIT] * 2
    assert max(at_once) == 2
