"""Cases that an attack on the refresh found."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from documents.create_from_website import crawl, existing_pages
from documents.web.errors import FetchError
from documents.web.visit import Visitor
from mojodex.clock import RESERVE_SECONDS
from mojodex.errors import TransientError
from tests.integration.conftest import Documents
from tests.integration.test_refresh import (
    TEXT,
    Refreshing,
    changes,
    redirect,
    refreshing,
    sitemap,
    why,
    with_etags,
)
from tests.website import WORDS, Page, Website, website

__all__ = ["refreshing"]


@pytest.fixture
def other() -> Iterator[Website]:
    """Serve another site."""
    with website() as running:
        yield running


def names(documents: Documents) -> list[str]:
    return sorted(documents.documents())


# A redirect to the same page, as from http to https, is not a move.


@pytest.mark.parametrize("status", [301, 302])
def test_a_page_that_redirects_to_itself_and_answers_404_is_missing_but_not_gone(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    page = documents.site.pages["/a"]
    documents.site.pages |= {"/a": redirect("/a/", status), "/a/": Page("not now", status=404)}

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "missing"}
    documents.site.pages["/a/"] = page
    refreshing.after(1.1)
    assert names(documents) == ["/", "/a"]


@pytest.mark.parametrize("status", [301, 302])
def test_a_page_that_redirects_to_itself_and_is_forbidden_stays(
    documents: Documents, refreshing: Refreshing, status: int
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    documents.site.pages |= {
        "/a": redirect("/a/", status),
        "/b": redirect("/b/", status),
        "/b/": Page("no", status=403),
        "/robots.txt": Page("User-agent: *\nDisallow: /a/", headers=TEXT),
    }

    for _ in range(2):
        job = refreshing.after(8)
        assert changes(documents, job) == {}

    assert names(documents) == ["/", "/a", "/b"]
    assert why(documents, job) == {"/a": "robots.txt forbids it", "/b": "the page answers 403"}


def test_pages_that_require_a_cookie_stay(documents: Documents, refreshing: Refreshing) -> None:
    """They redirect to themselves until the client sends the cookie."""
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.pages["/a"] = redirect("/a", 302)

    refreshing.after(8)
    refreshing.after(8)

    assert names(documents) == ["/", "/a"]


# Documents outside of the part of the site that was requested last.


def test_a_page_of_another_part_whose_address_gets_a_slash_stays(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/shop/", "/shop/a")
    documents.site.simple("/docs/", "/docs/a")
    documents.read(f"{documents.site.url}/shop/")
    documents.read(f"{documents.site.url}/docs/", "r2")
    before = names(documents)
    page = documents.site.pages["/shop/a"]
    documents.site.pages |= {"/shop/a": redirect("/shop/a/", 301), "/shop/a/": page}

    job = refreshing.after(8)

    # Boilerplate is kept on the first page of the part that was requested last.
    assert changes(documents, job) == {"/shop/": "changed"}
    assert names(documents) == before
    assert job.outcome["not_stored"] == []


def test_a_page_of_another_part_that_moves_is_stored_at_its_new_address(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/shop/", "/shop/a")
    documents.site.simple("/docs/", "/docs/a")
    documents.read(f"{documents.site.url}/shop/")
    documents.read(f"{documents.site.url}/docs/", "r2")
    page = documents.site.pages["/shop/a"]
    documents.site.pages |= {"/shop/a": redirect("/shop/b", 301), "/shop/b": page}

    job = refreshing.after(8)

    assert changes(documents, job) == {"/shop/": "changed", "/shop/a": "gone", "/shop/b": "new"}
    assert names(documents) == ["/docs/", "/docs/a", "/shop/", "/shop/b"]


# Documents that the user deleted.


def test_a_document_that_the_user_deleted_is_not_restored_by_another_site(
    documents: Documents, other: Website
) -> None:
    other.simple("/", "/x")
    documents.site.simple("/", "/a")
    documents.read(other.url, "r0")
    documents.read()
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE name LIKE '%/x'")
    other.html("/", WORDS.format(thing="changed thing"), links=("/x",))
    documents.site.pages["/"] = redirect(f"{other.url}/", 301)

    documents.ask(request="refresh now", refresh=True)
    documents.ingest()

    assert f"{other.url}/x" not in documents.documents()


def test_a_site_is_not_restored_after_the_user_deleted_its_last_documents(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    sitemap(documents, a="", b="")
    documents.read()
    page = documents.site.pages.pop("/a")
    refreshing.after(8)
    refreshing.after(1.1)
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true")
    # The others were fetched when this one was gone.
    documents.mojodex.run(
        "UPDATE md_background_document SET fetched_at = (SELECT max(gone_at) FROM md_background_document)"
        " WHERE gone_at IS NULL"
    )
    documents.site.pages["/a"] = page

    refreshing.after(8)

    assert names(documents) == []


# The schedule.


def test_two_websites_with_the_same_address_do_not_stop_other_refreshes(documents: Documents) -> None:
    """An address may belong to another site after the list of public suffixes has changed."""
    for site, address in (("b.example", "a.example"), ("a.example", "a.example"), ("c.example", None)):
        documents.mojodex.run(
            "INSERT INTO md_background_website (user_id, site, website_url, repeated_lines, refresh_at)"
            " VALUES (:u, :s, :a, '{}', '2026-01-01')",
            u=documents.user_id,
            s=site,
            a=address,
        )

    assert documents.websites.schedule() == 2

    published = sorted(body["website_url"] for body in documents.websites.queued())
    assert published == ["a.example", "c.example"]


def test_a_website_with_a_long_address_is_refreshed_from_its_site(
    documents: Documents, refreshing: Refreshing, other: Website
) -> None:
    long = f"/{'long' * 70}"
    other.pages[long] = redirect("/b", 301)
    other.html("/b", WORDS.format(thing="thing"))
    documents.site.pages["/"] = redirect(other.url + long, 301)
    documents.read()
    assert names(documents) == [f"{other.url}/b"]
    other.html("/b", WORDS.format(thing="changed thing"))

    job = refreshing.after(8)

    assert job.outcome["changes"] == [{"url": f"{other.url}/b", "change": "changed"}]


# Pages that do not answer.


def test_broken_pages_do_not_stop_a_continued_refresh(
    documents: Documents, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", *(f"/{n}" for n in range(6)))
    documents.read()
    seconds = documents.websites.worker.process.seconds_needed + 1
    monkeypatch.setattr(crawl, "SECONDS_NEEDED", seconds - 0.2)
    monkeypatch.setattr(crawl, "AHEAD", 1)
    documents.site.html("/0", WORDS.format(thing="changed thing"))
    for number in range(1, 6):
        documents.site.pages[f"/{number}"] = Page("no", status=500)
    for page in documents.site.pages.values():
        page.delay = 0.1

    job = refreshing.after(8, seconds=seconds + RESERVE_SECONDS)

    assert job.state == "done"
    assert job.outcome["rounds"] > 0
    assert changes(documents, job) == {"/0": "changed"}


def test_a_broken_first_page_does_not_stop_the_refresh_of_the_others(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    documents.site.pages["/"] = Page("broken", status=500)
    documents.site.html("/a", WORDS.format(thing="changed thing"))

    job = refreshing.after(8)

    assert (job.state, job.outcome["waiting"]) == ("done", 0)
    assert changes(documents, job) == {"/a": "changed"}


def test_an_unavailable_host_does_not_stop_the_refresh_of_the_others_of_its_site(
    documents: Documents, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    fetch = Visitor.fetch

    def away(self: Visitor, url: str, *args: Any, **more: Any) -> Any:
        if url.startswith("https://shop."):
            raise FetchError("its name cannot be resolved")
        return fetch(self, url, *args, **more)

    monkeypatch.setattr(Visitor, "fetch", away)
    # Loopback has only one site.
    monkeypatch.setattr(existing_pages.urls, "site", lambda _url: "127.0.0.1")
    documents.site.html("/a", WORDS.format(thing="changed thing"))

    documents.ask("https://shop.example.com/", "refresh now", refresh=True)
    documents.ingest()

    job = documents.job("https://shop.example.com/", "refresh now")
    assert (job.state, changes(documents, job)) == ("done", {"/a": "changed"})


def test_a_site_of_broken_pages_only_is_not_requested_whole(
    documents: Documents, refreshing: Refreshing
) -> None:
    paths = [f"/{n}" for n in range(40)]
    documents.site.simple("/", *paths)
    documents.read()
    for path in ("/", *paths):
        documents.site.pages[path] = Page("broken", status=500)

    job = refreshing.after(8)

    assert job.state == "skipped"
    assert len(set(documents.site.asked())) <= 2 * crawl.AHEAD
    assert len(names(documents)) == 41


def test_a_new_page_that_fails_is_stored_by_the_next_refresh(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.html("/a", WORDS.format(thing="changed thing"), links=("/new",))
    documents.site.pages["/new"] = Page("not now", status=500)
    refreshing.after(8)
    documents.site.html("/new", WORDS.format(thing="new thing"))

    refreshing.after(8)

    assert names(documents) == ["/", "/a", "/new"]


# Pages that were temporarily lost.


def test_pages_that_were_gone_for_two_days_are_restored_although_no_link_has_changed(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    with_etags(documents)
    documents.read()
    before = documents.contents()
    pages = {path: documents.site.pages.pop(path) for path in ("/a", "/b")}
    refreshing.after(8)
    refreshing.after(1.1)
    assert names(documents) == ["/"]
    documents.site.pages |= pages

    refreshing.after(8)

    assert documents.contents() == before


def test_a_missing_page_is_requested_although_the_sitemap_lists_no_change(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    del documents.site.pages["/a"]
    assert changes(documents, refreshing.after(8)) == {"/a": "missing"}
    sitemap(documents, a="2026-01-01", b="2026-01-01")

    job = refreshing.after(1.1)

    assert changes(documents, job) == {"/a": "gone"}


def test_a_temporary_redirect_of_the_first_page_does_not_change_the_websites_address(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/docs/", "/docs/a")
    documents.read(f"{documents.site.url}/docs/")
    first = documents.site.pages["/docs/"]
    documents.site.html("/login", "Please log in.")
    documents.site.pages["/docs/"] = redirect("/login", 302)
    refreshing.after(8)
    documents.site.pages["/docs/"] = first
    documents.site.html("/docs/a", WORDS.format(thing="changed thing"), links=("/docs/new",))
    documents.site.html("/docs/new", WORDS.format(thing="new thing"))

    job = refreshing.after(1.1)

    assert changes(documents, job) == {"/docs/a": "changed", "/docs/new": "new"}
    website_url = documents.mojodex.run("SELECT website_url FROM md_background_website")
    assert website_url == f"{documents.site.url}/docs/"


def test_a_website_whose_pages_still_wait_is_not_forgotten(
    make_documents: Callable[..., Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model was unavailable for two days."""
    documents = make_documents(refresh_days=1)
    refreshing = Refreshing(documents, monkeypatch)
    documents.site.simple("/", "/a", "/b")
    documents.ask()

    refreshing.after(1.1)

    assert names(documents) == ["/", "/a", "/b"]
    footers = [pk for pk in documents.documents().values() if "rights" in " ".join(documents.text(pk))]
    assert len(footers) == 1
    assert refreshing.after(1.1).outcome["unchanged"] == 3


def test_another_page_keeps_the_boilerplate_once_the_first_page_is_gone(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    with_etags(documents)
    documents.read()
    del documents.site.pages["/"]
    refreshing.after(8)
    refreshing.after(1.1)
    assert names(documents) == ["/a", "/b", "/c"]

    refreshing.after(8)
    refreshing.after(8)

    footers = [pk for pk in documents.documents().values() if "rights" in " ".join(documents.text(pk))]
    assert len(footers) == 1


# The pages that a refresh starts with. It leaves other users, sites and documents alone.


def begun(documents: Documents) -> dict[str, tuple[int, int | None]]:
    """Run a refresh and return the depth and the document of each page that it found, by path."""
    documents.ask(request="refresh now", refresh=True)
    pages = documents.mojodex.rows(
        "SELECT url, depth, document_fk FROM md_background_page WHERE occasion = 'refresh now'"
    )
    return {page.url.removeprefix(documents.site.url): (page.depth, page.document_fk) for page in pages}


def remember(documents: Documents, path: str, values: str, *, deleted: bool = False) -> None:
    """Change the row that remembers a page's document."""
    pk = documents.mojodex.run("SELECT document_pk FROM md_document WHERE name LIKE :n", n=f"%{path}")
    documents.mojodex.run(f"UPDATE md_background_document SET {values} WHERE document_fk = :d", d=pk)
    documents.mojodex.run(
        "UPDATE md_document SET deleted_by_user = :deleted WHERE document_pk = :d", d=pk, deleted=deleted
    )


def read_by_two(documents: Documents) -> None:
    """Crawl the website for another user, and then for this one."""
    user = documents.user_id
    documents.user_id = documents.mojodex.user()
    documents.read()
    documents.user_id = user
    documents.read()


def another(documents: Documents, path: str, kind: str = "webpage") -> int:
    """Add another document with the address of a page and return its key."""
    pk = documents.mojodex.run(
        "INSERT INTO md_document (name, author_user_id, creation_date, document_type)"
        " VALUES (:n, :u, now(), :k) RETURNING document_pk",
        n=path if "://" in path else documents.site.url + path,
        u=documents.user_id,
        k=kind,
    )
    return int(pk)


def test_the_document_that_is_not_deleted_is_the_one_that_is_refreshed(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b")
    documents.read()
    known = documents.documents()
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE name LIKE '%/a'")
    kept = another(documents, "/a/")
    another(documents, "/b/")

    assert begun(documents) == {"/": (0, known["/"]), "/a/": (1, kept), "/b": (1, known["/b"])}


def test_documents_that_are_not_pages_of_the_site_are_not_refreshed(
    documents: Documents, other: Website
) -> None:
    documents.site.simple("/", "/a")
    another(documents, "/text", "learned_by_mojo")
    another(documents, f"{other.url}/there")
    another(documents, "ftp://127.0.0.1/file")
    documents.read()

    assert sorted(begun(documents)) == ["/", "/a"]


def test_gone_pages_are_requested_at_their_old_depth_unless_they_were_deleted_at_once(
    documents: Documents,
) -> None:
    documents.site.simple("/", "/a", "/b", "/c", "/d", "/e", "/f")
    documents.read()
    gone = "missing_since = '2020-01-01', gone_at = now() - interval"
    remember(documents, ":%/", f"{gone} '1 day'", deleted=True)
    remember(documents, "/a", f"{gone} '89 days 23 hours', depth = 2", deleted=True)
    remember(documents, "/b", f"{gone} '1 day', depth = NULL", deleted=True)
    remember(documents, "/f", f"{gone} '90 days 1 hour'", deleted=True)
    remember(documents, "/c", "gone_at = now(), missing_since = now()", deleted=True)
    remember(documents, "/d", "gone_at = now(), missing_since = NULL", deleted=True)
    # It has been restored in the meantime.
    remember(documents, "/e", f"{gone} '1 day'")
    # No page links to the others.
    documents.site.html("/", WORDS.format(thing="changed thing"))

    pages = begun(documents)

    assert pages == {"/": (0, None), "/a": (2, None), "/b": (1, None), "/e": (1, documents.documents()["/e"])}


@pytest.mark.parametrize(
    ("fetched_at", "missing_since", "is_looked_for"),
    [
        ("'2026-01-02'", ("'2026-01-01'", "'2026-01-03'"), True),
        ("'2026-01-03'", ("'2026-01-01'", "'2026-01-03'"), False),
        ("NULL", ("'2026-01-01'", "'2026-01-03'"), True),
        ("'2026-01-03'", ("NULL", "NULL"), True),
    ],
)
def test_a_site_is_restored_unless_the_user_deleted_a_page_seen_after_the_others_were_gone(
    documents: Documents, fetched_at: str, missing_since: tuple[str, str], is_looked_for: bool
) -> None:
    documents.site.simple("/home", "/a", "/b", "/c")
    documents.read(f"{documents.site.url}/home")
    for path, moment in zip(("/home", "/a"), missing_since, strict=True):
        remember(documents, path, f"gone_at = now(), missing_since = {moment}", deleted=True)
    remember(documents, "/b", f"fetched_at = {fetched_at}", deleted=True)
    remember(documents, "/c", "fetched_at = '2025-01-01'", deleted=True)

    assert bool(begun(documents)) is is_looked_for


def failed_page(documents: Documents, url: str, reason: str, **more: Any) -> None:
    """Add a page that an earlier crawl found and that failed."""
    usual = {"user_id": documents.user_id, "state": "failed", "html_hash": None, "document_fk": None}
    documents.mojodex.run(
        "INSERT INTO md_background_page"
        " (subject, occasion, user_id, url, key, depth, state, reason, html_hash, document_fk, found_at)"
        " VALUES"
        " ('r', :occasion, :user_id, :url, :key, 2, :state, :reason, :html_hash, :document_fk, now())",
        url=url,
        key=existing_pages.urls.key(url),
        reason=reason,
        **({"occasion": "r0"} | usual | more),
    )


def test_a_page_that_failed_is_tried_again_if_the_reason_may_have_passed(
    documents: Documents, other: Website
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    broken, url = "the page answers 500", documents.site.url
    failed_page(documents, f"{url}/again", broken)
    failed_page(documents, f"{url}/was-gone", "the page answers 404")
    failed_page(documents, f"{url}/was-gone", broken, occasion="r1")
    failed_page(documents, f"{url}/gone", broken)
    failed_page(documents, f"{url}/gone", "the page answers 410", occasion="r1")
    failed_page(documents, f"{url}/no-page", broken)
    failed_page(documents, f"{url}/no-page", "type text/plain", occasion="r1", state="skipped")
    failed_page(documents, f"{url}/unread", "the model refuses", html_hash="1")
    failed_page(documents, f"{url}/without-its-document", broken, document_fk=0)
    failed_page(documents, f"{url}/a", broken)
    failed_page(documents, f"{url}/of-another-user", broken, user_id=documents.mojodex.user())
    failed_page(documents, f"{other.url}/of-another-site", broken)

    pages = begun(documents)

    assert sorted(pages) == ["/", "/a", "/again", "/was-gone"]
    assert (pages["/again"], pages["/a"]) == ((2, None), (1, documents.documents()["/a"]))


def test_only_the_website_without_documents_is_forgotten(documents: Documents, other: Website) -> None:
    documents.site.simple("/", "/a")
    other.simple("/")
    user = documents.user_id
    documents.read()
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true")
    # Pages of another user and of another site wait.
    documents.user_id = documents.mojodex.user()
    documents.ask()
    documents.user_id = user
    documents.ask(other.url)
    websites = "SELECT user_id, website_url FROM md_background_website"
    before = {tuple(row) for row in documents.mojodex.rows(websites)}

    begun(documents)

    after = {tuple(row) for row in documents.mojodex.rows(websites)}
    assert before - after == {(user, documents.site.url)}
    assert len(before) == 3


def test_a_website_that_cannot_be_read_postpones_no_other_website(
    documents: Documents, other: Website
) -> None:
    documents.site.simple("/", "/a")
    other.simple("/")
    read_by_two(documents)
    documents.read(other.url)
    documents.mojodex.run("UPDATE md_background_website SET refresh_at = '2026-01-01'")
    documents.site.pages = {path: Page("broken", status=500) for path in documents.site.pages}
    documents.site.pages["/robots.txt"] = Page("broken", status=500)

    documents.ask(request="refresh now", refresh=True)

    postponed = documents.mojodex.rows(
        "SELECT user_id, website_url FROM md_background_website WHERE refresh_at > now()"
    )
    assert [tuple(row) for row in postponed] == [(documents.user_id, documents.site.url)]


# Documents of an earlier release.


def test_a_document_with_another_spelling_of_its_address_is_not_duplicated(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    a = documents.documents()["/a"]
    documents.mojodex.run("UPDATE md_document SET name = name || '#top' WHERE document_pk = :a", a=a)
    documents.mojodex.run("DELETE FROM md_background_document WHERE document_fk = :a", a=a)
    documents.site.html("/a", WORDS.format(thing="changed thing"))

    job = refreshing.after(8)

    assert sorted(documents.documents().values()) == sorted({a, documents.documents()["/"]})
    assert changes(documents, job) == {"/a": "changed"}
    assert refreshing.after(8).outcome["unchanged"] == 2


def test_links_of_an_earlier_releases_first_page_are_followed(
    make_documents: Callable[..., Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = make_documents(crawl_depth_limit=1)
    refreshing = Refreshing(documents, monkeypatch)
    documents.site.simple("/", "/a")
    documents.read()
    documents.mojodex.run("UPDATE md_background_document SET depth = NULL")
    documents.site.html("/", WORDS.format(thing="changed thing"), links=("/a", "/new"))
    documents.site.html("/new", WORDS.format(thing="new thing"))

    job = refreshing.after(8)

    assert changes(documents, job) == {"/": "changed", "/new": "new"}


# Limits.


def test_deleted_documents_do_not_raise_the_limit_of_pages(
    make_documents: Callable[..., Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = make_documents(crawl_page_limit=4)
    refreshing = Refreshing(documents, monkeypatch)
    documents.site.simple("/", "/old0", "/old1", "/old2")
    documents.read()
    for name in ("new", "newest"):
        documents.mojodex.run("UPDATE md_document SET deleted_by_user = true WHERE name NOT LIKE '%/'")
        documents.site.simple("/", *(f"/{name}{number}" for number in range(4)))

        job = refreshing.after(8)

        assert names(documents) == ["/", *(f"/{name}{number}" for number in range(3))]
        assert job.outcome["limits"] == ["4 pages"]


# Timing.


def test_a_meta_refresh_to_a_moved_page_that_answers_404_is_only_missing(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    documents.site.pages |= {
        "/a": Page('<meta http-equiv="refresh" content="0; url=/b"><p>wait</p>'),
        "/b": redirect("/c", 301),
        "/c": Page("not now", status=404),
    }

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "missing"}


def test_a_page_fetched_later_wins_although_its_refresh_began_earlier(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/", "/a")
    documents.read()

    def killed(_self: object, _url: str, *_args: Any, **_more: Any) -> Any:
        raise TransientError("its worker was killed")

    with monkeypatch.context() as context:
        context.setattr(Visitor, "fetch", killed)
        message = {"user_id": documents.user_id, "website_url": documents.site.url, "refresh": True}
        documents.websites.work(message | {"request_id": "refresh now"}, seconds=300)
    documents.site.html("/a", WORDS.format(thing="changed thing"))
    documents.read(request="r2")
    documents.site.html("/a", WORDS.format(thing="twice changed thing"))

    documents.ask(request="refresh now", refresh=True)
    documents.ingest()

    assert "twice changed thing" in documents.text(documents.documents()["/a"])[0]
    assert changes(documents, documents.job(request="refresh now")) == {"/a": "changed"}


def test_the_clock_of_a_site_may_be_slow(documents: Documents, refreshing: Refreshing) -> None:
    """The page changed after it was read, but a minute before by the site's clock."""
    documents.site.simple("/", "/a")
    documents.read()
    fetched_at = documents.mojodex.run(
        "SELECT fetched_at FROM md_background_document WHERE document_fk = :a", a=documents.documents()["/a"]
    )
    documents.site.html("/a", WORDS.format(thing="changed thing"))
    sitemap(documents, a=(fetched_at - timedelta(minutes=1)).isoformat())

    job = refreshing.after(8)

    assert changes(documents, job) == {"/a": "changed"}


def test_a_site_to_which_the_first_page_temporarily_redirects_is_not_stored(
    documents: Documents, refreshing: Refreshing, other: Website
) -> None:
    documents.site.simple("/home", "/a")
    documents.site.pages["/"] = redirect("/home", 302)
    documents.read()
    other.simple("/", "/buy", "/this", "/domain")
    documents.site.pages["/"] = redirect(f"{other.url}/", 302)

    refreshing.after(8)

    assert names(documents) == ["/a", "/home"]


def test_a_site_to_which_the_first_page_permanently_redirects_is_stored(
    documents: Documents, refreshing: Refreshing, other: Website
) -> None:
    documents.site.simple("/home", "/a")
    documents.site.pages["/"] = redirect("/home", 302)
    documents.read()
    other.simple("/", "/new")
    documents.site.pages["/"] = redirect(f"{other.url}/", 301)

    refreshing.after(8)

    assert names(documents) == ["/a", "/home", f"{other.url}/", f"{other.url}/new"]


def test_a_page_that_an_update_fetched_is_no_longer_missing(
    documents: Documents, refreshing: Refreshing
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    page = documents.site.pages.pop("/a")
    refreshing.after(8)
    documents.site.pages["/a"] = page
    documents.update(documents.documents()["/a"])
    del documents.site.pages["/a"]

    job = refreshing.after(1.1)

    assert changes(documents, job) == {"/a": "missing"}
