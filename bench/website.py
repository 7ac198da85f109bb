"""`python -m bench.website`: measure the cost of learning a website of 100 pages, and of keeping it current.

Everything goes through the deployed bundle: the built template in MiniStack, its queues, real Postgres. The
website and the model are servers in this process. The model takes 300 ms for a chat call and 100 ms for a
request for embeddings, however many come at a time. For comparison, the calls of Mojodex's own Background run
against the same model: one chat call and one request for embeddings per chunk, one after the other.
"""

import argparse
import http.client
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, create_engine, text

from bench.cpu_use import processor_seconds
from bench.database import BenchError, Verdict, exit_on_signals, print_verdicts
from local.runtime import deploy
from local.runtime import stack as local_stack
from mojodex.embeddings import DIMENSIONS
from tests.fake_model import FakeModel, Reply, fake_model, relevance
from tests.website import Page, Website, website

USER = "bench"
CHAT_SECONDS, EMBEDDING_SECONDS = 0.3, 0.1
# The home page links to the sections, and each section to its pages.
SECTIONS, PAGES_OF_SECTION = 9, 10
PAGES = 1 + SECTIONS + SECTIONS * PAGES_OF_SECTION
# Pages to warm up with: a batch for each possible worker.
WARMING_PAGES = 31
PARAGRAPHS, WORDS_OF_PARAGRAPH = 24, 50
CHANGED_PARAGRAPH = 12
# Mojodex's own Background, measured on a 2-core machine with such a model and such a site: chunks, seconds.
OLD_CHUNKS, OLD_SECONDS = 903, 378.7
OLD_SHARE = 10
CALLS_BAR, RATIO_BAR, AT_ONCE_BAR = 200, 30, 2
# A job that takes longer has failed.
PATIENCE_SECONDS = 300

NAME = "The Old Mill of Alderbrook, makers of fine stationery since 1921"
MENU = (
    "Paper and envelopes",
    "Pens and inks",
    "Bindings and repairs",
    "Orders and delivery",
    "Visit the mill",
)
FOOTER = (
    "The Old Mill of Alderbrook Ltd, 1 River Road, Alderbrook",
    "All rights reserved by the Old Mill of Alderbrook, registered under number 40712",
    "Subscribe to our letter, follow us, read our privacy notice and the imprint",
)
# Used in turns, so that a sentence looks like one.
WORDS = tuple(
    words.split()
    for words in (
        "paper mill river order customer price delivery sheet envelope letter colour ink pen binding repair"
        " cotton linen machine workshop surface press printer invoice discount warranty sample office season"
        " contract supplier method founder village bridge garden warehouse carrier parcel label catalogue",
        "brings keeps needs shows follows carries changes explains improves replaces protects supports",
        "every another some the one no each this",
        "new old careful simple heavy light local regular special open quiet early late cheap durable empty",
    )
)


def some_words(rng: random.Random, count: int) -> str:
    """Return `count` words that look like a sentence."""
    sentence = " ".join(rng.choice(WORDS[place % len(WORDS)]) for place in range(count))
    return sentence.capitalize()


def paragraphs_of(path: str, edition: int = 0) -> list[str]:
    """Return the unique text of a page. A later edition changes a paragraph in the middle."""
    rng = random.Random(path)
    paragraphs = [_paragraph(rng) for _ in range(PARAGRAPHS)]
    if edition:
        paragraphs[CHANGED_PARAGRAPH] = _paragraph(random.Random(f"{path} {edition}"))
    return paragraphs


def _paragraph(rng: random.Random) -> str:
    return ". ".join(some_words(rng, 10) for _ in range(WORDS_OF_PARAGRAPH // 10)) + "."


def links_of(path: str) -> list[str]:
    """Return the links of a page, besides the menu."""
    if path == "/":
        return [f"/{section}" for section in range(SECTIONS)]
    return [f"{path}/{page}" for page in range(PAGES_OF_SECTION)] if path.count("/") == 1 else []


def put(site: Website, path: str, links: Sequence[str], edition: int = 0) -> None:
    """Put a page on the site, with the header, menu and footer of all pages."""
    rng = random.Random(f"headings of {path}")
    main = "".join(
        (f"<h2>{some_words(rng, 6)}</h2>" if place % 4 == 0 else "") + f"<p>{paragraph}</p>"
        for place, paragraph in enumerate(paragraphs_of(path, edition))
    )
    menu = "".join(f'<li><a href="/{place}">{name}</a></li>' for place, name in enumerate(MENU))
    more = "".join(f'<li><a href="{link}">Read more in {link}</a></li>' for link in links)
    footer = "".join(f"<p>{line}</p>" for line in FOOTER)
    site.pages[path] = Page(
        f"<!doctype html><html lang='en'><head><title>{path}</title></head><body>"
        f"<header><p>{NAME}</p><nav><ul>{menu}</ul></nav></header>"
        f"<main><h1>{some_words(rng, 6)}</h1>{main}<ul>{more}</ul></main>"
        f"<footer>{footer}</footer></body></html>"
    )


@cache
def numbers(place: int) -> str:
    """Return a cached vector as JSON: making one costs more than the rest of the model's work."""
    rng = random.Random(place)
    return json.dumps([round(rng.uniform(-0.05, 0.05), 8) for _ in range(DIMENSIONS)])


def embedded(request: dict[str, Any]) -> Reply:
    """Return a valid answer to a request for embeddings."""
    items = ", ".join(
        f'{{"object": "embedding", "index": {index}, "embedding": {numbers(len(each) % 50)}}}'
        for index, each in enumerate(request["input"])
    )
    usage = '{"prompt_tokens": 100, "total_tokens": 100}'
    body = f'{{"object": "list", "model": "fake", "data": [{items}], "usage": {usage}}}'
    return Reply(body=body, delay=EMBEDDING_SECONDS)


def judged(request: dict[str, Any]) -> Reply:
    """Return an answer that calls all chunks relevant."""
    reply = relevance(request)
    reply.delay = CHAT_SECONDS
    return reply


# For each row of a document: its place (ctid), the transaction that wrote it (xmin), and its text.
type Rows = dict[tuple[str, int], tuple[str, str, str]]


@dataclass(frozen=True)
class Run:
    """The effects of one message.

    Attributes:
        began: when it was published (seconds since 1970).
        seconds: until the end of its job was seen.
        chat, embeddings: calls of the model.
        inputs: texts that were embedded.
        requests: requests to the website; `at_once` is the most of them at a time.
        processor: CPU seconds, by user.
        new, gone: texts of the new chunks, and the number of deleted chunks.
        moved: rows of chunks that were rewritten.
        documents: rows of documents that were rewritten.
        untouched: rows that were not rewritten.
    """

    began: float
    seconds: float
    chat: int
    embeddings: int
    inputs: list[str] = field(repr=False)
    requests: int
    at_once: int
    processor: Counter[str]
    new: list[str] = field(repr=False)
    gone: int
    moved: int
    documents: int
    untouched: int

    @property
    def calls(self) -> int:
        """Return the number of model calls."""
        return self.chat + self.embeddings

    @property
    def rewritten(self) -> int:
        """Return the number of rows that were written or deleted."""
        return self.moved + self.documents + self.gone + len(self.new)


@dataclass(frozen=True)
class Bundle:
    """The deployed bundle, and the model of this bench."""

    stack: local_stack.Stack
    engine: Engine
    model: FakeModel

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Return all rows of a query."""
        with self.engine.begin() as connection:
            return list(connection.execute(text(sql), values))

    def learn(self, site: Website, *, refresh: bool = False) -> Run:
        """Request a website or its refresh, and wait until the job has ended."""
        message = {"user_id": USER, "website_url": f"{site.url}/", "refresh": refresh}
        return self._run("create_from_website", "CreateFromWebsiteQueueUrl", message, site)

    def update(self, site: Website, path: str) -> Run:
        """Request an update of a page's document, and wait for it."""
        ((pk,),) = self.rows("SELECT document_pk FROM md_document WHERE name = :n", n=site.url + path)
        message = {"user_id": USER, "document_pk": pk}
        return self._run("update_document", "UpdateDocumentQueueUrl", message, site)

    def _run(self, process: str, queue: str, message: dict[str, Any], site: Website) -> Run:
        chat, embeddings = len(self.model.calls), len(self.model.embeddings)
        site.requests.clear()
        site.most = 0
        before, processor = self._snapshot(), self._processor()
        known = {job.occasion for job in self._jobs(process)}
        began = time.time()
        self.stack.publish(queue, message)
        while not (ended := [j for j in self._jobs(process) if j.occasion not in known and j.finished_at]):
            if time.time() - began > PATIENCE_SECONDS:
                raise BenchError(f"{process} does not end: {self._jobs(process)}")
            time.sleep(0.05)
        seconds = time.time() - began
        if ended[0].state != "done":
            raise BenchError(f"{process}: {ended[0].state}, {ended[0].outcome}")
        spent = self._processor()
        spent.subtract(processor)
        after = self._snapshot()
        rewritten = Counter(
            kind for kind, pk in before.keys() & after.keys() if before[kind, pk] != after[kind, pk]
        )
        requests = self.model.embeddings[embeddings:]
        return Run(
            began=began,
            seconds=seconds,
            chat=len(self.model.calls) - chat,
            embeddings=len(requests),
            inputs=[each for request in requests for each in request["input"]],
            requests=len(site.requests),
            at_once=site.most,
            processor=spent,
            new=[after[key][2] for key in after.keys() - before.keys() if key[0] == "chunk"],
            gone=len(before.keys() - after.keys()),
            moved=rewritten["chunk"],
            documents=rewritten["document"],
            untouched=sum(before[key] == after[key] for key in before.keys() & after.keys()),
        )

    def _jobs(self, process: str) -> list[Any]:
        return self.rows("SELECT * FROM md_background_job WHERE process = :p", p=process)

    def _snapshot(self) -> Rows:
        rows = self.rows(
            "SELECT 'document', document_pk, ctid::text, xmin::text, name FROM md_document"
            " UNION ALL"
            " SELECT 'chunk', document_chunk_pk, ctid::text, xmin::text, chunk_text FROM md_document_chunk"
        )
        return {(kind, pk): (place, writer, said) for kind, pk, place, writer, said in rows}

    def _processor(self) -> Counter[str]:
        return processor_seconds(self.stack, self.engine, {"website, model and bench": psutil.Process()})


def old_seconds(model: FakeModel, chunks: Sequence[str]) -> float:
    """Return the seconds that Mojodex's own calls take: two for each chunk, one after the other."""
    address = urlsplit(model.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    began = time.perf_counter()
    for chunk in chunks:
        prompt = {"role": "user", "content": f'<chunk-1 number="1">\n{chunk}\n</chunk-1>'}
        for path, body in (
            ("/chat/completions", {"model": "old", "messages": [prompt]}),
            ("/embeddings", {"model": "old", "input": [chunk]}),
        ):
            connection.request("POST", address.path + path, json.dumps(body))
            with connection.getresponse() as response:
                response.read()
    connection.close()
    return time.perf_counter() - began


class Report:
    """Prints figures, and judges those that have a bar."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []

    def part(self, title: str) -> None:
        """Begin a part of the report."""
        self._title = title
        print(f"\n{title:62}{'':>10}{'bar':>10}", flush=True)

    def figure(self, name: str, value: float | str, bar: float | str = "", *, kept: bool = True) -> None:
        """Print one figure."""
        shown, limit = (
            f"{v:,.1f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v
            for v in (value, bar)
        )
        print(f"{name:62}{shown:>10}{limit:>10}".rstrip(), flush=True)
        if limit:
            self.verdicts.append((f"{self._title}: {name.strip()}, {shown}, bar {limit}", kept))

    def exactly(self, name: str, value: int, bar: int) -> None:
        """Print a figure that must equal its bar."""
        self.figure(name, value, f"{bar:,}", kept=value == bar)

    def at_most(self, name: str, value: float, bar: float) -> None:
        """Print a figure that must not exceed its bar."""
        self.figure(name, value, bar, kept=value <= bar)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.website", description=__doc__)
    parser.add_argument("--full", action="store_true", help="make all calls of Mojodex's own: six minutes")
    arguments = parser.parse_args()
    exit_on_signals()
    report = Report()
    deploy.build()
    with tempfile.TemporaryDirectory(prefix="bench-website-") as path, fake_model() as model:
        directory = Path(path) / "run"
        try:
            stack = local_stack.up(
                directory, parameters={"LlmBaseUrl": model.url}, say=partial(print, flush=True)
            )
            stack.stop_schedules()
            stack.open_loopback()
            engine = create_engine(stack.database.url)
            model.script, model.embed = judged, embedded
            measure(Bundle(stack, engine, model), report, full=arguments.full)
            engine.dispose()
        except BenchError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        finally:
            local_stack.down(directory)
    return print_verdicts(report.verdicts)


def measure(bundle: Bundle, report: Report, *, full: bool) -> None:
    """Measure and report everything."""
    bundle.rows(
        "INSERT INTO md_user (user_id, email, name, creation_date)"
        " VALUES (:u, 'bench@example.com', 'Bench', now()) RETURNING user_id",
        u=USER,
    )
    with website() as small:
        put(small, "/", [])
        cold = bundle.learn(small)
        others = [f"/{page}" for page in range(1, WARMING_PAGES)]
        for each in ("/", *others):
            put(small, each, others if each == "/" else [], edition=1)
        bundle.learn(small)
        put(small, "/1", [], edition=2)
        bundle.update(small, "/1")
        report.part("A website of one page, all workers cold")
        report.figure("seconds", cold.seconds)
    with website() as site:
        waiting = ["/"]
        while waiting:
            each = waiting.pop(0)
            waiting += links_of(each)
            put(site, each, links_of(each))
        first_time(bundle, site, report, full=full)
        again(bundle, site, report)
        put(site, "/4/4", [], edition=1)
        changed("One paragraph of one page changed, the website again", bundle.learn(site), report)
        refreshed("Refreshed, unchanged, without ETags", bundle.learn(site, refresh=True), report)
        for page in site.pages.values():
            page.headers = page.headers | {"ETag": f'"{crc32(str(page.body).encode())}"'}
        bundle.learn(site, refresh=True)
        refreshed("Refreshed, unchanged, with ETags", bundle.learn(site, refresh=True), report)
        put(site, "/5/5", [], edition=1)
        changed("One paragraph of another page changed, update_document", bundle.update(site, "/5/5"), report)


def first_time(bundle: Bundle, site: Website, report: Report, *, full: bool) -> None:
    """Learn the new website, and compare with Mojodex's own calls for a site of that size."""
    run = bundle.learn(site)
    chunks = run.new * (OLD_CHUNKS // len(run.new) + 1)
    asked = OLD_CHUNKS if full else OLD_CHUNKS // OLD_SHARE + 1
    old = old_seconds(bundle.model, chunks[:asked]) * OLD_CHUNKS / asked

    report.part(f"{PAGES} pages of {PARAGRAPHS * WORDS_OF_PARAGRAPH:,} words, for the first time")
    report.at_most("seconds", run.seconds, old / RATIO_BAR)
    measured = "measured" if full else f"{asked} measured"
    report.figure(f"  Mojodex's own: {OLD_CHUNKS} + {OLD_CHUNKS} calls ({measured}), seconds", old)
    report.figure("  Mojodex's own Background, measured earlier, seconds", OLD_SECONDS)
    report.figure("  ratio to ours", old / run.seconds)
    report.at_most("calls of the model", run.calls, CALLS_BAR)
    report.figure("  chat", run.chat)
    report.figure("  embeddings", run.embeddings)
    names = {row.name for row in bundle.rows("SELECT name FROM md_document")}
    report.exactly("documents", sum(name.startswith(f"{site.url}/") for name in names), PAGES)
    report.figure("chunks", len(run.new))
    frame = re.compile("|".join(map(re.escape, (NAME, *MENU, *FOOTER))))
    framed = sum(frame.search(chunk) is not None for chunk in run.new)
    # The first page keeps its header and footer.
    report.exactly("chunks with text of the header, the menu or the footer", framed, 2)
    report.figure("requests to the website", run.requests)
    report.at_most("  at a time", run.at_once, AT_ONCE_BAR)

    ((crawled_from, queued, began, ended),) = bundle.rows(
        "SELECT extract(epoch FROM min(started_at) FILTER (WHERE process = 'create_from_website'))::float,"
        " extract(epoch FROM min(queued_at) FILTER (WHERE process = 'ingest_page'))::float,"
        " extract(epoch FROM min(started_at) FILTER (WHERE process = 'ingest_page'))::float,"
        " extract(epoch FROM max(finished_at))::float"
        " FROM md_background_job WHERE queued_at >= to_timestamp(:b)",
        b=run.began,
    )
    report.part("Parts of its time, seconds")
    report.figure("until the crawler has begun", crawled_from - run.began)
    report.figure("crawl", queued - crawled_from)
    report.figure("until the first page is begun", began - queued)
    report.figure("pages become documents", ended - began)
    for who, seconds in run.processor.most_common():
        if round(seconds, 1):
            report.figure(f"CPU: {who}", seconds)
    cores = os.cpu_count() or 1
    report.figure(f"CPU: used of {cores} cores", f"{run.processor.total() / run.seconds / cores:.0%}")


def again(bundle: Bundle, site: Website, report: Report) -> None:
    """Report the same website again, unchanged."""
    run = bundle.learn(site)
    report.part("The same website again, unchanged")
    report.figure("seconds", run.seconds)
    report.exactly("chat calls", run.chat, 0)
    report.exactly("requests for embeddings", run.embeddings, 0)
    report.exactly("rows of documents and chunks rewritten", run.rewritten, 0)


def refreshed(title: str, run: Run, report: Report) -> None:
    """Report a refresh that found no change."""
    report.part(title)
    report.figure("seconds", run.seconds)
    report.figure("CPU of the crawler, seconds", run.processor["create_from_website"])
    # One for each page, robots.txt and the sitemap.
    report.at_most("requests to the website", run.requests, PAGES + 2)
    report.exactly("calls of the model", run.calls, 0)
    report.exactly("rows of documents and chunks rewritten", run.rewritten, 0)


def changed(title: str, run: Run, report: Report) -> None:
    """Report the change of one paragraph."""
    report.part(title)
    report.figure("seconds", run.seconds)
    report.exactly("chat calls", run.chat, 1)
    report.exactly("requests for embeddings", run.embeddings, 1)
    report.figure("texts embedded", len(run.inputs))
    report.exactly("  that are not new chunks", len(set(run.inputs) - set(run.new)), 0)
    report.figure("chunks that are new", len(run.new), "1 or more", kept=bool(run.new))
    report.figure("chunks that were deleted", run.gone)
    report.figure("rows of chunks rewritten", run.moved)
    report.exactly("rows of documents rewritten", run.documents, 1)
    report.figure("rows untouched", run.untouched)


if __name__ == "__main__":
    sys.exit(main())
