"""The end of a crawl: published pages and the boilerplate of the site."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.orm import Session

from documents.create_from_website.publishing import publish_pages
from documents.create_from_website.settings import CrawlSettings
from documents.message import CreateFromWebsite
from documents.web import urls
from mojodex import jobs, queues
from tests.integration.conftest import Bundle
from tests.mojodex import Mojodex

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SITE = "https://example.com"
# An odd hash: the line announces another page.
TEASER = 21


class Crawl:
    """A user's website whose pages are all fetched, before the end of its crawl."""

    def __init__(self, bundle: Bundle, mojodex: Mojodex) -> None:
        self.bundle, self.mojodex, self.user_id = bundle, mojodex, mojodex.user()
        key = {"process": "create_from_website", "subject": "site", "occasion": "r1"}
        with Session(mojodex.engine, expire_on_commit=False) as session:
            delivery = jobs.Delivery("m", NOW + jobs.RETENTION)
            job = jobs.begin(session, delivery, **key, now=NOW, lease_seconds=150)
        assert isinstance(job, jobs.Job)
        self.job = job

    def page(
        self,
        path: str,
        *,
        canonical: str | None = None,
        lines: list[int] | None = None,
        state: str = "staged",
        subject: str = "site",
        occasion: str = "r1",
    ) -> int:
        return int(
            self.mojodex.run(
                "INSERT INTO md_background_page (subject, occasion, user_id, url, key, depth, state, html,"
                " canonical, lines, found_at) VALUES (:subject, :occasion, :u, :url, :k, 0, :state, 'html',"
                " :c, CAST(:lines AS bigint[]), now()) RETURNING page_pk",
                subject=subject,
                occasion=occasion,
                u=self.user_id,
                url=SITE + path,
                k=urls.key(SITE + path),
                state=state,
                c=canonical and urls.key(SITE + canonical),
                lines=lines,
            )
        )

    def publish(self) -> None:
        settings = SimpleNamespace(ingest_page_queue_url=self.bundle.queue_url, refresh_days=7)
        message = CreateFromWebsite(user_id=self.user_id, website_url=SITE)
        publish_pages(self.bundle.database, cast(CrawlSettings, settings), message, self.job)

    def end(self) -> list[int]:
        """End the crawl and return the published pages."""
        self.publish()
        return sorted(body["page_pk"] for body in self.bundle.queued())

    def state(self, page_pk: int) -> tuple[str, str | None]:
        (row,) = self.mojodex.rows("SELECT * FROM md_background_page WHERE page_pk = :p", p=page_pk)
        return row.state, row.reason

    def repeated(self) -> list[tuple[str, str, list[int]]]:
        rows = self.mojodex.rows("SELECT * FROM md_background_website ORDER BY user_id, site")
        return [(row.user_id, row.site, row.repeated_lines) for row in rows]


@pytest.fixture
def crawl(bundle: Bundle, mojodex: Mojodex) -> Crawl:
    return Crawl(bundle, mojodex)


def website(crawl: Crawl) -> Any:
    (row,) = crawl.mojodex.rows("SELECT * FROM md_background_job WHERE process = 'create_from_website'")
    return row


def test_each_staged_page_of_the_website_is_published_once_with_its_user(crawl: Crawl) -> None:
    pages = [crawl.page(f"/{number}") for number in range(12)]
    for state in ("found", "stored", "unchanged", "skipped", "failed"):
        crawl.page(f"/{state}", state=state)
    crawl.page("/x", subject="another site")
    crawl.page("/x", occasion="r2")

    crawl.publish()

    assert crawl.bundle.groups() == [crawl.user_id] * 12
    ledger = crawl.mojodex.rows("SELECT * FROM md_background_job WHERE process = 'ingest_page'")
    assert {(row.subject, row.occasion, row.state) for row in ledger} == {
        (str(pk), "", "queued") for pk in pages
    }
    assert website(crawl).outcome["crawled"] is True
    assert website(crawl).outcome["found"] == 17
    assert website(crawl).state == "running"
    assert crawl.end() == []


def test_boilerplate_is_saved_before_the_first_page_is_published(
    crawl: Crawl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        crawl.page(f"/{number}", lines=[2, 2 * number + 10])
    known: list[list[int]] = []
    publish = queues.publish

    def publish_late(queue_url: str, messages: Iterable[queues.Outgoing]) -> None:
        # A worker may read the boilerplate as soon as it gets a message.
        known.extend(lines for _, _, lines in crawl.repeated())
        publish(queue_url, messages)

    monkeypatch.setattr(queues, "publish", publish_late)

    crawl.end()

    assert known == [[2]]


def test_a_website_without_staged_pages_is_done_after_its_crawl(crawl: Crawl) -> None:
    crawl.page("/", state="unchanged")

    assert crawl.end() == []

    assert website(crawl).state == "done"


def test_a_page_whose_canonical_page_was_fetched_is_skipped(crawl: Crawl) -> None:
    named = crawl.page("/a")
    naming = crawl.page("/a?print", canonical="/a")

    assert crawl.end() == [named]

    assert crawl.state(naming) == ("skipped", "its canonical address is https://example.com/a")
    assert crawl.state(named) == ("staged", None)


def test_a_page_whose_canonical_page_is_unchanged_is_skipped(crawl: Crawl) -> None:
    crawl.page("/a", state="unchanged")
    crawl.page("/a?print", canonical="/a")

    assert crawl.end() == []


def test_a_page_stays_if_its_canonical_page_is_itself_or_was_not_fetched(crawl: Crawl) -> None:
    pages = [crawl.page("/a", canonical="/a"), crawl.page("/b", canonical="/not read")]
    for state in ("found", "skipped", "failed"):
        crawl.page(f"/{state}", state=state)
        pages.append(crawl.page(f"/{state}?print", canonical=f"/{state}"))
    crawl.page("/elsewhere", subject="another site")
    pages.append(crawl.page("/c", canonical="/elsewhere"))

    assert crawl.end() == pages


def test_an_unchanged_page_is_not_skipped_for_its_canonical_page(crawl: Crawl) -> None:
    crawl.page("/a")
    unchanged = crawl.page("/a?print", canonical="/a", state="unchanged")

    crawl.end()

    assert crawl.state(unchanged) == ("unchanged", None)


def test_of_pages_that_name_each_other_as_canonical_the_last_one_stays(crawl: Crawl) -> None:
    crawl.page("/a", canonical="/b")
    last = crawl.page("/b", canonical="/a")

    assert crawl.end() == [last]


@pytest.mark.parametrize(
    ("on_pages", "of_pages", "is_repeated"),
    [(3, 3, True), (2, 3, False), (3, 5, True), (3, 6, False), (4, 6, True), (2, 2, False)],
)
def test_a_line_on_three_pages_and_more_than_half_of_them_is_boilerplate(
    crawl: Crawl, on_pages: int, of_pages: int, *, is_repeated: bool
) -> None:
    for number in range(of_pages):
        crawl.page(f"/{number}", lines=[2 * (100 + number), *([14] if number < on_pages else [])])

    crawl.end()

    assert crawl.repeated() == [(crawl.user_id, "example.com", [14] if is_repeated else [])]
    assert crawl.mojodex.run("SELECT count(*) FROM md_background_page WHERE lines IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("on_pages", "repeated"), [(2, []), (3, [TEASER]), (4, [TEASER - 1, TEASER])], ids=str
)
def test_a_line_that_announces_another_page_is_boilerplate_on_three_pages(
    crawl: Crawl, on_pages: int, repeated: list[int]
) -> None:
    for number in range(7):
        crawl.page(f"/{number}", lines=[TEASER] if number < on_pages else [])

    crawl.end()

    assert crawl.repeated() == [(crawl.user_id, "example.com", repeated)]


def test_only_staged_and_unchanged_pages_count_for_boilerplate(crawl: Crawl) -> None:
    for number in range(2):
        crawl.page(f"/{number}", lines=[18, 14])
    crawl.page("/unchanged", state="unchanged", lines=[16, 14])
    # Pages without known lines do not count.
    for number in range(3):
        crawl.page(f"/without lines {number}")
    for number, state in enumerate(("skipped", "failed", "found")):
        crawl.page(f"/{state}", state=state, lines=[18, 16, 2 * number])
    elsewhere = [
        crawl.page(f"/{number}", lines=[18, 16], subject=subject, occasion=occasion)
        for number in range(3)
        for subject, occasion in (("another site", "r1"), ("site", "r2"))
    ]

    crawl.end()

    assert crawl.repeated() == [(crawl.user_id, "example.com", [14])]
    kept = "SELECT count(*) FROM md_background_page WHERE lines = '{18,16}' AND page_pk = ANY(:pks)"
    assert crawl.mojodex.run(kept, pks=elsewhere) == len(elsewhere)


def test_the_first_page_that_stays_keeps_the_boilerplate(crawl: Crawl) -> None:
    crawl.page("/moved", state="skipped", lines=[18])
    for number in range(3):
        crawl.page(f"/{number}", lines=[18, 2 * number])

    crawl.end()

    (website,) = crawl.mojodex.rows("SELECT * FROM md_background_website")
    assert (website.first_page, website.repeated_lines) == ("example.com/0", [18])


def test_a_small_site_gets_a_new_first_page_and_keeps_its_boilerplate(crawl: Crawl) -> None:
    crawl.mojodex.run(
        "INSERT INTO md_background_website (user_id, site, repeated_lines, first_page)"
        " VALUES (:u, 'example.com', '{1}', 'example.com/old')",
        u=crawl.user_id,
    )
    crawl.page("/", lines=[9])

    crawl.end()
    # The message is delivered again.
    crawl.end()

    (website,) = crawl.mojodex.rows("SELECT * FROM md_background_website")
    assert (website.first_page, website.repeated_lines) == ("example.com/", [1])


def test_boilerplate_replaces_the_old_one_of_the_same_user_and_site(crawl: Crawl) -> None:
    other = crawl.mojodex.user()
    for user_id, site in ((crawl.user_id, "example.com"), (crawl.user_id, "other"), (other, "example.com")):
        crawl.mojodex.run(
            "INSERT INTO md_background_website (user_id, site, repeated_lines) VALUES (:u, :s, '{1}')",
            u=user_id,
            s=site,
        )
    for number in range(3):
        crawl.page(f"/{number}", lines=[18, 14])

    crawl.end()

    assert sorted(crawl.repeated()) == sorted(
        [(crawl.user_id, "example.com", [14, 18]), (crawl.user_id, "other", [1]), (other, "example.com", [1])]
    )
