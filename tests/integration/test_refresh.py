"""A refresh updates the documents of a website and deletes those whose pages are gone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from documents.create_from_website import crawl, publishing, recorder, start
from documents.web.errors import FetchError
from documents.web.visit import Visitor
from mojodex.clock import RESERVE_SECONDS, utc_now
from tests.fake_model import FakeModel
from tests.integration.conftest import Documents
from tests.website import WORDS, Page

TEXT = {"Content-Type": "text/plain"}


class Refreshing:
    """The refreshes of a test's website, some days apart."""

    def __init__(self, documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
        self._documents, self._monkeypatch = documents, monkeypatch
        self._days = 0.0

    def after(self, days: float, *, is_due: bool = True, seconds: float = 300) -> Any:
        """Let days pass, run the schedule, the crawler and ingest_page, and return the job's row.

        Args:
            days: the days since the last refresh.
            is_due: whether the schedule should find the website.
            seconds: the time of one invocation of the crawler.
        """
        self._days += days
        shift = timedelta(days=self._days)
        for module in (start, crawl, publishing, recorder, self._documents.websites.scheduler):
            self._monkeypatch.setattr(module, "utc_now", lambda: utc_now() + shift)
        documents = self._documents
        documents.site.asked()
        documents.websites.schedule()
        bodies: list[Any] = documents.websites.queued()
        assert bool(bodies) is is_due
        while bodies:
            assert documents.websites.work(*bodies, seconds=seconds)["batchItemFailures"] == []
            documents.ingest()
            bodies = documents.websites.queued()
        rows = documents.mojodex.rows(
            "SELECT * FROM md_background_job WHERE process = 'create_from_website'"
            " AND starts_with(occasion, 'refresh') ORDER BY occasion DESC"
        )
        return rows[0] if rows else None


@pytest.fixture
def refreshing(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Refreshing:
    return Refreshing(documents, monkeypatch)


def changes(documents: Documents, job: Any) -> dict[str, str]:
    """Return the changes that the refresh recorded, by path."""
    return {page["url"].removeprefix(documents.site.url): page["change"] for page in job.outcome["changes"]}


def why(documents: Documents, job: Any) -> dict[str, str]:
    """Return the reasons of pages that were not stored, by path."""
    pages = job.outcome["not_stored"]
    return {page["url"].removeprefix(documents.site.url): page["reason"] for page in pages}


def redirect(location: str, status: int) -> Page:
    return Page("", status=status, headers={"Location": location})


def with_etags(documents: Documents) -> None:
    for path, page in documents.site.pages.items():
        page.headers = page.headers | {"ETag": f'"{path}-{len(page.body)}"'}


def sitemap(documents: Documents, **lastmods: str) -> None:
    """Serve a sitemap of pages, each with its lastmod unless that is empty."""
    named = "".join(
        f"<url><loc>{documents.site.url}/{name}</loc>{f'<lastmod>{moment}</lastmod>' if moment else ''}</url>"
        for name, moment in lastmods.items()
    )
    body = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{named}</urlset>'
    documents.site.pages["/sitemap.xml"] = Page(body, headers={"Content-Type": "application/xml"})


# When a website is refreshed.


def test_a_website_is_due_after_refresh_days_and_not_before(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()

    refreshing.after(6.9, is_due=False)
    job = refreshing.after(0.2)

    assert job.state == "done"
    assert job.subject == f"{documents.user_id} {documents.site.url}"
    assert (job.outcome["refresh"], job.outcome["unchanged"], job.outcome["changes"]) == (True, 3, [])
    refreshing.after(6.9, is_due=False)
    assert refreshing.after(0.2).outcome["unchanged"] == 3


def test_a_website_that_is_being_refreshed_is_published_once(documents: Documents) -> None:
    documents.site.simple("/")
    documents.read()
    documents.mojodex.run("UPDATE md_background_website SET refresh_at = now() - interval '1 hour'")

    assert [documents.websites.schedule() for _ in range(3)] == [1, 0, 0]

    (body,) = documents.websites.queued()
    assert body["refresh"] is True
    assert body["scope"] == "site"


def test_refreshes_share_a_group_so_that_a_new_website_does_not_wait_behind_them(
    documents: Documents,
) -> None:
    documents.site.simple("/")
    documents.read()
    documents.mojodex.run("UPDATE md_background_website SET refresh_at = now()")

    documents.websites.schedule()

    assert documents.websites.groups() == ["refresh"]


def test_the_number_of_refreshes_at_a_time_is_limited(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents.websites.scheduler, "REFRESHES_AT_A_TIME", 2)
    for number in range(3):
        documents.mojodex.run(
            "INSERT INTO md_background_website (user_id, site, repeated_lines, refresh_at)"
            " VALUES (:u, :s, '{}', now() - make_interval(hours => :n))",
            u=documents.user_id,
            s=f"{number}.example",
            n=number,
        )

    published = documents.websites.schedule() + documents.websites.schedule()

    assert published == 2
    due_longest = [body["website_url"] for body in documents.websites.queued()]
    assert due_longest == ["2.example", "1.example"]


def test_with_zero_days_no_website_is_refreshed(make_documents: Callable[..., Documents]) -> None:
    documents = make_documents(refresh_days=0)
    documents.site.simple("/")
    documents.read()

    assert documents.websites.schedule() == 0


def test_a_website_of_a_deleted_user_is_not_refreshed(documents: Documents) -> None:
    documents.mojodex.run(
        "INSERT INTO md_background_website (user_id, site, repeated_lines) VALUES ('nobody', 'a.test', '{}')"
    )

    assert documents.websites.schedule() == 0


# The cost of a refresh.


def test_a_site_without_changes_costs_one_request_for_each_page_and_no_model(
    documents: Documents, refreshing: Refreshing, model: FakeModel
) -> None:
    """Its pages have no ETags. A redirect, an empty page and a missing page are not documents."""
    documents.site.simple("/", "/a", "/b", "/empty", "/moved", "/missing")
    documents.site.pages |= {"/empty": Page("<p></p>"), "/moved": redirect("/a", 301)}
    del documents.site.pages["/missing"]
    documents.read()
    paid = len(model.calls), len(model.embeddings)
    before = documents.contents()

    job = refreshing.after(8)

    asked = documents.site.asked()
    assert sorted(asked) == ["/", "/a", "/b"]
    assert (len(model.calls), len(model.embeddings)) == paid
    assert documents.contents() == before
    assert (job.outcome["unchanged"], job.outcome["changes"]) == (3, [])


def test_pages_are_requested_with_their_etags(
    documents: Documents, refreshing: Refreshing, model: FakeModel
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    documents.site.headers.clear()
    fetched_at = documents.mojodex.run("SELECT min(fetched_at) FROM md_background_document")

    job = refreshing.after(8)

    etags = [headers["If-None-Match"] for headers in documents.site.headers if "If-None-Match" in headers]
    assert len(etags) == len(documents.site.asked()) == 3
    assert job.outcome["unchanged"] == 3
    assert documents.mojodex.run("SELECT min(fetched_at) FROM md_background_document") > fetched_at


def test_an_unchanged_page_is_recorded_with_the_hash_of_its_document(
    documents: Documents,
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    documents.site.html("/b", WORDS.format(thing="changed thing"))

    documents.ask(request="refresh now", refresh=True)

    pages = documents.mojodex.rows(
        "SELECT url, state, page.html_hash = document.html_hash AS is_same, page.fetched_at"
        " FROM md_background_page page JOIN md_background_document document USING (document_fk)"
        " WHERE occasion = 'refresh now'"
    )
    assert {page.url.removeprefix(documents.site.url): (page.state, page.is_same) for page in pages} == {
        "/": ("unchanged", True),
        "/a": ("unchanged", True),
        "/b": ("staged", False),
    }
    assert all(page.fetched_at for page in pages)


def test_a_page_that_the_sitemap_lists_as_unchanged_is_not_requested(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    sitemap(documents, a="2026-01-01", b="2026-01-01T10:00:00Z", c="2100-01-01")
    documents.read()

    job = refreshing.after(8)

    assert sorted(documents.site.asked()) == ["/", "/c"]
    assert job.outcome["unchanged"] == 4
    assert job.outcome["changes"] == []
    # The sitemap is not trusted for ever.
    documents.mojodex.run("UPDATE md_background_document SET fetched_at = fetched_at - interval '20 days'")
    refreshing.after(8)
    assert sorted(documents.site.asked()) == ["/", "/a", "/b", "/c"]


def test_a_continued_refresh_requests_the_sitemap_once(
    documents: Documents, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", *(f"/{n}" for n in range(6)))
    sitemap(documents)
    documents.read()
    seconds = documents.websites.worker.process.seconds_needed + 1
    monkeypatch.setattr(crawl, "SECONDS_NEEDED", seconds - 0.2)
    monkeypatch.setattr(crawl, "AHEAD", 1)
    for page in documents.site.pages.values():
        page.delay = 0.1
    documents.site.requests.clear()

    job = refreshing.after(8, seconds=seconds + RESERVE_SECONDS)

    assert job.outcome["rounds"] > 0
    assert documents.site.requests.count("/sitemap.xml") == 1
    assert sorted(documents.site.asked()) == sorted(["/", *(f"/{n}" for n in range(6))])
    assert job.outcome["unchanged"] == 7


def test_the_first_page_is_followed_by_the_oldest_and_then_by_missing_pages(
    documents: Documents,
) -> None:
    documents.site.simple("/", "/a", "/b", "/c", "/d")
    documents.read()
    known = documents.documents()
    # The order of their keys must differ from the expected order.
    late, early, unknown, missing = sorted(("/a", "/b", "/c", "/d"), key=known.__getitem__)
    for path, values in {
        "/": "depth = 3",
        late: "fetched_at = '2026-01-02'",
        early: "fetched_at = '2026-01-01', depth = 2",
        unknown: "fetched_at = NULL, depth = NULL",
        missing: "fetched_at = NULL, missing_since = now()",
    }.items():
        documents.mojodex.run(
            f"UPDATE md_background_document SET {values} WHERE document_fk = :d", d=known[path]
        )

    documents.ask(request="refresh now", refresh=True)

    pages = documents.mojodex.rows(
        "SELECT url, depth FROM md_background_page WHERE occasion = 'refresh now' ORDER BY page_pk"
    )
    in_order = [(page.url.removeprefix(documents.site.url), page.depth) for page in pages]
    assert in_order == [("/", 0), (unknown, 1), (early, 2), (late, 1), (missing, 1)]


# Changed pages.


def test_only_changed_and_new_pages_are_stored(
    documents: Documents, refreshing: Refreshing, model: FakeModel
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    before = documents.contents()
    paid = len(model.embeddings)
    documents.site.html("/a", WORDS.format(thing="new lamp"), links=("/new", "/b"))
    documents.site.html("/new", WORDS.format(thing="brand new thing"))

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "changed", "/new": "new"}
    assert (job.outcome["stored"], job.outcome["unchanged"]) == (2, 2)
    assert len(model.embeddings) == paid + 2
    after = documents.contents()
    assert sorted(documents.documents()) == ["/", "/a", "/b", "/new"]
    assert "new lamp" in after["/a"][0][1]
    assert all(after[path] == before[path] for path in ("/", "/b"))


def test_new_pages_of_the_sitemap_are_stored(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a")
    with_etags(documents)
    documents.read()
    documents.site.html("/news", WORDS.format(thing="news of today"))
    sitemap(documents, a="", news="")

    job = refreshing.after(8)

    assert changes(documents, job) == {"/news": "new"}
    assert sorted(documents.site.asked()) == ["/", "/a", "/news"]


def test_a_refresh_goes_no_deeper_than_a_crawl(
    make_documents: Callable[..., Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = make_documents(crawl_depth_limit=1)
    refreshing = Refreshing(documents, monkeypatch)
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"), links=("/deep",))
    documents.site.html("/deep", WORDS.format(thing="deep thing"))

    refreshing.after(8)
    refreshing.after(8)

    assert sorted(documents.documents()) == ["/", "/a"]


def test_a_stale_document_is_written_again_although_its_page_has_not_changed(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    sitemap(documents, a="2026-01-01", b="2026-01-01")
    documents.read()
    a = documents.documents()["/a"]
    documents.mojodex.run("UPDATE md_background_document SET recipe = '0 ada 0' WHERE document_fk = :a", a=a)
    documents.mojodex.run("UPDATE md_document_chunk SET chunk_text = 'old words' WHERE document_fk = :a", a=a)

    refreshing.after(8)

    assert sorted(documents.site.asked()) == ["/", "/a"]
    assert "thing of /a is" in documents.text(a)[0]


def test_boilerplate_stays_the_same_when_few_pages_change(
    documents: Documents, refreshing: Refreshing
) -> None:
    """Boilerplate found in a few pages would differ, and make every page stale."""
    documents.site.simple("/", *(f"/{n}" for n in range(6)))
    documents.read()
    website = "SELECT repeated_lines, first_page FROM md_background_website"
    (before,) = documents.mojodex.rows(website)
    for number in range(3):
        words = WORDS.format(thing=f"thing {number}")
        documents.site.html(
            f"/{number}", words, "The same new line on three pages of the site, word by word."
        )

    job = refreshing.after(8)

    assert len(changes(documents, job)) == 3
    assert documents.mojodex.rows(website) == [before]
    assert refreshing.after(8).outcome["changes"] == []


def test_boilerplate_is_found_again_when_most_pages_change(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    documents.read()
    for page in documents.site.pages.values():
        assert isinstance(page.body, str)
        page.body = page.body.replace("1 River Road", "7 Hill Street")

    job = refreshing.after(8)

    # The footer is kept once, on the first page.
    assert changes(documents, job) == {"/": "changed"}
    texts = {path: " ".join(documents.text(pk)) for path, pk in documents.documents().items()}
    assert "7 Hill Street" in texts["/"]
    assert not any(
        "River Road" in text or "Hill Street" in texts[path] for path, text in texts.items() if path != "/"
    )
    assert "River Road" not in texts["/"]


# Missing and gone pages.


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_is_missing_twice_a_day_apart_is_deleted(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    a = documents.documents()["/a"]
    documents.site.pages["/a"] = Page("gone", status=status)

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "missing"}
    assert why(documents, job) == {"/a": f"the page answers {status}"}
    assert "/a" in documents.documents()
    refreshing.after(0.9, is_due=False)
    job = refreshing.after(0.2)
    assert changes(documents, job) == {"/a": "gone"}
    assert why(documents, job) == {"/a": f"the page answers {status}"}
    assert sorted(documents.documents()) == ["/", "/b"]
    assert documents.chunks(a) == []
    # It is requested again, in case it returns, but not for ever.
    refreshing.after(8)
    assert sorted(documents.site.asked()) == ["/", "/a", "/b"]
    refreshing.after(91)
    assert sorted(documents.site.asked()) == ["/", "/b"]


def test_a_missing_page_that_returns_in_time_stays(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    before = documents.contents()
    page = documents.site.pages.pop("/a")
    refreshing.after(8)
    documents.site.pages["/a"] = page

    job = refreshing.after(1.1)

    assert job.outcome["changes"] == []
    assert documents.contents() == before
    del documents.site.pages["/a"]
    assert changes(documents, refreshing.after(8)) == {"/a": "missing"}


def test_a_page_that_returns_without_text_is_not_missing(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.mojodex.run("UPDATE md_background_document SET missing_since = now()")
    documents.site.pages["/a"] = Page("<html><body><img src=x></body></html>")

    documents.ask(request="refresh now", refresh=True)

    missing = "SELECT count(*) FROM md_background_document WHERE missing_since IS NOT NULL"
    assert documents.mojodex.run(missing) == 0


def test_a_deleted_page_that_returns_is_stored_again(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a")
    sitemap(documents, a="")
    documents.read()
    a = documents.documents()["/a"]
    page = documents.site.pages.pop("/a")
    refreshing.after(8)
    refreshing.after(1.1)
    assert sorted(documents.documents()) == ["/"]
    documents.site.pages["/a"] = page

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "new"}
    assert documents.documents()["/a"] == a
    assert "thing of /a is" in documents.text(a)[0]


@pytest.mark.parametrize("status", [500, 403, 401])
def test_a_page_that_cannot_be_fetched_for_another_reason_stays(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    before = documents.contents()
    documents.site.pages["/a"] = Page("no", status=status)

    for _ in range(2):
        job = refreshing.after(8)
        assert (job.state, job.outcome["changes"]) == ("done", [])

    assert why(documents, job) == {"/a": f"the page answers {status}"}
    assert documents.contents() == before


@pytest.mark.parametrize("status", [301, 308])
def test_a_permanent_redirect_deletes_a_page_at_once_and_stores_its_target(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    page = documents.site.pages["/a"]
    documents.site.pages |= {"/new": page, "/a": redirect("/new", status)}

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "gone", "/new": "new"}
    assert why(documents, job) == {"/a": f"it redirects to {documents.site.url}/new"}
    assert sorted(documents.documents()) == ["/", "/new"]
    # Its old address is not requested again.
    refreshing.after(8)
    assert sorted(documents.site.asked()) == ["/", "/new"]


def test_the_target_of_a_new_page_with_a_temporary_redirect_is_stored(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"), links=("/latest",))
    documents.site.pages["/latest"] = redirect("/new", 302)
    documents.site.html("/new", WORDS.format(thing="new thing"))

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "changed", "/new": "new"}


def test_a_page_that_redirects_to_a_known_one_is_deleted_and_its_target_requested_once(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    documents.site.pages["/a"] = redirect("/b", 301)

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "gone"}
    assert sorted(documents.site.asked()) == ["/", "/a", "/b"]


@pytest.mark.parametrize("status", [302, 303, 307])
def test_a_site_that_temporarily_redirects_to_a_notice_loses_nothing(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    before, pages = documents.contents(), dict(documents.site.pages)
    documents.site.pages |= {path: redirect("/soon", status) for path in pages}
    documents.site.html("/soon", WORDS.format(thing="notice that we are back soon"))

    job = refreshing.after(8)

    assert set(changes(documents, job).values()) == {"missing"}
    assert documents.contents() == before
    documents.site.pages |= pages
    assert refreshing.after(1.1).outcome["changes"] == []
    assert documents.contents() == before


def test_a_page_whose_new_address_fails_stays(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.pages |= {"/a": redirect("/new", 301), "/new": Page("later", status=500)}

    refreshing.after(8)
    refreshing.after(8)

    assert sorted(documents.documents()) == ["/", "/a"]


@pytest.mark.parametrize(
    ("there", "change"),
    [
        (Page("gone", status=404), "gone"),
        (Page("gone", status=410), "gone"),
        (Page("text", headers=TEXT), "gone"),
        # The site may correct a mistake.
        (Page("no", status=403), "missing"),
    ],
    ids=["404", "410", "text", "403"],
)
def test_a_permanent_redirect_to_no_page_deletes_a_page_at_once_unless_it_is_forbidden(
    documents: Documents, refreshing: Refreshing, there: Page, change: str
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.pages |= {"/a": redirect("/new", 301), "/new": there}

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": change}


def test_a_page_that_becomes_a_copy_of_an_unchanged_one_is_missing(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    # The page fetched longest ago comes first, and the crawl may have fetched the two in either order.
    documents.mojodex.run(
        "UPDATE md_background_document SET fetched_at = fetched_at - interval '1 minute'"
        " WHERE document_fk = :d",
        d=documents.documents()["/a"],
    )
    documents.site.pages["/b"] = Page(documents.site.pages["/a"].body)

    job = refreshing.after(8)

    assert changes(documents, job) == {"/b": "missing"}
    assert why(documents, job) == {"/b": f"it is the same page as {documents.site.url}/a"}


def test_a_page_that_asks_not_to_be_indexed_is_deleted_at_once(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.pages["/a"].headers = documents.site.pages["/a"].headers | {"X-Robots-Tag": "noindex"}

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "gone"}
    assert why(documents, job) == {"/a": "it asks not to be indexed (noindex)"}


def test_pages_that_suddenly_have_the_same_text_are_deleted_only_after_a_day(
    documents: Documents, refreshing: Refreshing
) -> None:
    """Sites that answer 200 for "not found" look like this."""
    documents.site.simple("/", "/1", "/2")
    documents.read()
    for path in ("/1", "/2"):
        documents.site.html(path, "There is no such page here, or it has gone.")
        documents.site.pages[path].body = str(documents.site.pages[path].body).replace(path, "?")

    job = refreshing.after(8)

    assert sorted(changes(documents, job).values()) == ["changed", "missing"]
    assert sorted(documents.documents()) == ["/", "/1", "/2"]
    assert "gone" in changes(documents, refreshing.after(1.1)).values()


def test_another_page_keeps_the_boilerplate_when_the_first_page_is_gone(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    documents.read()
    documents.site.pages |= {"/start": documents.site.pages["/"], "/": redirect("/start", 301)}

    job = refreshing.after(8)
    refreshing.after(8)

    assert changes(documents, job) == {"/": "gone", "/start": "new"}
    keeping = [
        path
        for path, pk in documents.documents().items()
        if "rights reserved" in " ".join(documents.text(pk))
    ]
    assert len(keeping) == 1


# The user's own deletions.


def test_a_document_that_the_user_deleted_stays_deleted(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a", "/b")
    sitemap(documents, a="", b="")
    documents.read()
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE name LIKE '%/a'")
    documents.site.html("/", WORDS.format(thing="changed thing"), links=("/a", "/b"))

    job = refreshing.after(8)

    assert sorted(documents.site.asked()) == ["/", "/b"]
    assert why(documents, job) == {"/a": "the user deleted it"}
    assert sorted(documents.documents()) == ["/", "/b"]


def test_a_document_that_the_user_deletes_while_its_page_waits_stays_deleted(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"))
    documents.ask(request="refresh now", refresh=True)
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE name LIKE '%/a'")

    documents.ingest()

    assert sorted(documents.documents()) == ["/"]
    job = documents.job(request="refresh now")
    assert (job.state, why(documents, job)) == ("done", {"/a": "the user deleted it"})


def test_a_website_without_documents_is_forgotten(documents: Documents, refreshing: Refreshing) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true")

    job = refreshing.after(8)

    assert (job.state, job.outcome["reason"]) == ("skipped", "the website has no documents any more")
    assert documents.site.requests == []
    refreshing.after(30, is_due=False)


def test_another_users_documents_of_the_site_are_left_alone(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    other = documents.mojodex.user()
    documents.mojodex.run("UPDATE md_document SET author_user_id = :u WHERE name LIKE '%/a'", u=other)
    del documents.site.pages["/a"]
    documents.site.asked()

    documents.ask(request="refresh now", refresh=True)

    assert documents.site.asked() == ["/"]
    assert (
        documents.mojodex.run("SELECT count(*) FROM md_background_document WHERE missing_since IS NOT NULL")
        == 0
    )


def test_after_a_site_and_a_part_of_it_were_crawled_the_whole_site_is_refreshed(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/docs", "/docs/a", "/b")
    documents.read()
    documents.ask(f"{documents.site.url}/docs", request="r2", scope="path")
    documents.ingest()
    documents.site.html("/b", WORDS.format(thing="changed thing"), links=("/c",))
    documents.site.html("/c", WORDS.format(thing="new thing"))

    job = refreshing.after(8)

    assert changes(documents, job) == {"/b": "changed", "/c": "new"}


def test_a_refresh_of_a_part_of_a_site_finds_new_pages_in_that_part_only(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/docs", "/docs/a")
    documents.ask(f"{documents.site.url}/docs", scope="path")
    documents.ingest()
    documents.site.html("/docs/a", WORDS.format(thing="changed thing"), links=("/docs/b", "/c"))
    for path in ("/docs/b", "/c"):
        documents.site.html(path, WORDS.format(thing=f"new thing {path}"))

    job = refreshing.after(8)

    assert changes(documents, job) == {"/docs/a": "changed", "/docs/b": "new"}


# Failures.


def test_a_website_that_does_not_answer_loses_nothing_and_is_skipped(
    documents: Documents, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", *(f"/{n}" for n in range(9)))
    documents.read()
    before = documents.contents()

    def away(_self: Visitor, url: str, *_args: Any, **_more: Any) -> Any:
        asked.append(url)
        raise FetchError("the connection was refused", again=True)

    asked: list[str] = []
    with monkeypatch.context() as context:
        context.setattr(Visitor, "fetch", away)
        job = refreshing.after(8)

    assert job.state == "skipped"
    assert job.outcome["reason"] == "the website cannot be read: the connection was refused"
    assert job.outcome["waiting"] == 0
    # It gives up without requesting every page.
    assert len(asked) <= crawl.AHEAD
    assert documents.contents() == before
    assert documents.mojodex.rows("SELECT * FROM md_error") == []
    refreshing.after(6.9, is_due=False)
    assert refreshing.after(0.2).outcome["unchanged"] == 10


def test_a_site_without_pages_is_requested_and_stored_again_when_they_return(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    pages = dict(documents.site.pages)
    documents.site.pages.clear()
    assert refreshing.after(8).state == "done"
    assert set(changes(documents, refreshing.after(1.1)).values()) == {"gone"}
    assert documents.documents() == {}
    assert refreshing.after(8).state == "done"
    assert sorted(documents.site.asked()) == ["/", "/a"]

    documents.site.pages |= pages
    refreshing.after(8)

    assert sorted(documents.documents()) == ["/", "/a"]
    documents.site.pages.clear()
    refreshing.after(8)
    refreshing.after(1.1)
    assert refreshing.after(91).state == "skipped"
    refreshing.after(30, is_due=False)


def test_a_refresh_delivered_twice_changes_nothing(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"))
    documents.ask(request="refresh now", refresh=True)
    documents.ingest()
    before, asked = documents.contents(), documents.site.asked()

    documents.ask(request="refresh now", refresh=True)
    documents.ingest()

    assert asked
    assert documents.site.asked() == []
    assert documents.contents() == before


def test_a_lost_refresh_is_published_again_as_a_refresh(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"))
    documents.ask(request="refresh now", refresh=True)
    documents.pages.queued()
    documents.mojodex.run(
        "UPDATE md_background_job SET message_expires_at = now() - interval '1 minute', queued_at = now()"
    )

    documents.websites.schedule()

    (body,) = documents.websites.queued()
    assert (body["refresh"], body["request_id"]) == (True, "refresh now")


def test_websites_of_an_earlier_release_are_refreshed_too(
    documents: Documents, refreshing: Refreshing
) -> None:
    """Their rows have no address or scope, and no depth or fetch time of pages."""
    documents.site.simple("/", "/a")
    documents.read()
    documents.mojodex.run(
        "UPDATE md_background_website SET website_url = NULL, scope = NULL, refresh_at = now()"
    )
    documents.mojodex.run("DELETE FROM md_background_document")
    documents.site.html("/a", WORDS.format(thing="changed thing"))

    job = refreshing.after(0)

    assert job.subject == f"{documents.user_id} {documents.site.url.removeprefix('http://')}"
    assert sorted(documents.documents()) == ["/", "/a"]
    assert "changed thing" in documents.text(documents.documents()["/a"])[0]
    refreshing.after(6.9, is_due=False)
    assert refreshing.after(0.2).outcome["unchanged"] == 2


def test_a_refresh_of_a_website_that_was_never_crawled_does_nothing(documents: Documents) -> None:
    documents.site.simple("/")

    documents.ask(request="refresh now", refresh=True)

    job = documents.job(request="refresh now")
    assert (job.state, job.outcome["reason"]) == ("skipped", "the website has no documents any more")
    assert documents.site.requests == []


def test_a_new_request_reads_the_whole_site_as_before(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    with_etags(documents)
    documents.read()
    documents.site.asked()
    documents.site.headers.clear()

    job = documents.read(request="r2")

    assert documents.site.asked() == ["/", "/a"]
    assert not any("If-None-Match" in headers for headers in documents.site.headers)
    assert "changes" not in job.outcome


def test_a_website_that_an_operator_excluded_is_refreshed_after_a_new_request(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.mojodex.run("UPDATE md_background_website SET refresh_at = 'infinity'")
    refreshing.after(1000, is_due=False)

    documents.read(request="r2")

    refreshing.after(8)
