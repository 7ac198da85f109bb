"""All workers leave a host alone that asks us to slow down, and none of its pages is lost."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from documents.message import CREATE_FROM_WEBSITE as CRAWL
from documents.web import fetch, host_slots
from documents.web.errors import FetchError, HostRestsError
from documents.web.host_slots import HostSlots
from mojodex import queues
from mojodex.clock import Deadline, utc_now
from tests.integration.conftest import Documents
from tests.lambda_events import failed_ids, sqs_event
from tests.website import Page

HOST = "host.test"


def slow_down(status: int = 429, **headers: str) -> Page:
    return Page("slow down", status=status, headers={"Content-Type": "text/plain", **headers})


class Refusing:
    """A site that refuses from one request on, and a record of the requests that it refused."""

    def __init__(
        self, documents: Documents, since: str, wanted: Callable[[str], bool] = lambda _path: True
    ) -> None:
        self.site, self.since, self.wanted = documents.site, since, wanted
        self.pages = dict(documents.site.pages)
        self.began = self.ended = False
        self.asked: list[str] = []
        documents.site.before = self._before

    def _before(self, path: str) -> None:
        self.began = self.began or path == self.since
        if self.began and not self.ended:
            self.asked.append(path)
            self.site.pages[path] = slow_down() if self.wanted(path) else self.pages.get(path, Page("", 404))

    def stop(self) -> None:
        self.ended = True
        self.site.pages = dict(self.pages)


def asking(documents: Documents, request: str = "r1", **more: Any) -> dict[str, Any]:
    return {"user_id": documents.user_id, "website_url": documents.site.url, "request_id": request, **more}


def rest_ends(documents: Documents) -> None:
    """End the rest of all hosts."""
    documents.mojodex.run("UPDATE md_background_host_slot SET rests_until = now() - interval '1 second'")


def rest(documents: Documents) -> Any:
    """Return the number of rests in a row of the website's host, and the seconds until its end."""
    (row,) = documents.mojodex.rows(
        "SELECT pauses, extract(epoch FROM rests_until - now()) AS seconds"
        " FROM md_background_host_slot WHERE slot = 1"
    )
    return row


def work_through(documents: Documents, *bodies: Any) -> list[str]:
    """Give a worker messages, and the ones that it publishes itself. Return the ids that failed."""
    waiting = list(bodies)
    failed: list[str] = []
    while waiting:
        failed += failed_ids(documents.websites.work(*waiting, seconds=300))
        waiting = documents.websites.queued()
    return failed


# Host slots.


def deadline() -> Deadline:
    return Deadline(lambda: 300_000)


@pytest.fixture
def make_slots(documents: Documents) -> Callable[..., HostSlots]:
    def make(**ago: float) -> HostSlots:
        return HostSlots(documents.websites.database, deadline(), utc_now() - timedelta(**ago))

    return make


def refused(slots: HostSlots, *, page: bool = True, status: int = 429, **more: Any) -> HostRestsError:
    with pytest.raises(HostRestsError) as caught, slots.slot(HOST, 0, page=page):
        raise FetchError("no", status=status, again=True, **more)
    return caught.value


def ends(documents: Documents) -> None:
    rest_ends(documents)


def work_until_crawled(documents: Documents) -> None:
    """End each rest and continue until the crawl is finished."""
    tries = 0
    while work_through(documents, asking(documents)):
        rest_ends(documents)
        tries += 1
        assert tries < 10, (
            documents.site.requests,
            documents.mojodex.rows("SELECT url, state, refusals FROM md_background_page"),
        )
    documents.ingest()


def test_pauses_double_up_to_ten_minutes(documents: Documents, make_slots: Callable[..., HostSlots]) -> None:
    slots = make_slots()
    seconds = []
    for _ in range(9):
        error = refused(slots)
        assert error.answer is not None
        seconds.append(round(error.retry_after or 0))
        ends(documents)

    assert seconds == [10, 20, 40, 80, 160, 320, 600, 600, 600]


@pytest.mark.parametrize(("asked", "seconds"), [(5, 10), (120, 120), (-30, 10), (10**9, 3600)])
def test_a_longer_retry_after_of_the_server_counts_up_to_an_hour(
    make_slots: Callable[..., HostSlots], asked: float, seconds: int
) -> None:
    assert round(refused(make_slots(), retry_after=asked).retry_after or 0) == seconds


def test_no_request_gets_a_slot_while_the_host_rests(make_slots: Callable[..., HostSlots]) -> None:
    refused(make_slots(), status=503)

    for delay in (0, 1):
        with pytest.raises(HostRestsError) as caught, make_slots().slot(HOST, delay, page=True):
            pytest.fail("it has a slot")
        assert caught.value.answer is None
        assert 9 < (caught.value.retry_after or 0) <= 10
    with make_slots().slot("other.test", 0, page=True):
        pass


def test_after_a_rest_one_request_is_a_probe_and_the_others_wait_for_it(
    documents: Documents, make_slots: Callable[..., HostSlots], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(make_slots())
    ends(documents)
    monkeypatch.setattr(host_slots, "HELD_SECONDS", 30)
    running, most = 0, 0

    def ask(_: int) -> bool:
        nonlocal running, most
        try:
            with make_slots().slot(HOST, 0, page=True):
                running += 1
                most = max(most, running)
                time.sleep(0.1)
                running -= 1
                raise FetchError("no", status=429, again=True)
        except HostRestsError as error:
            return error.answer is not None

    with ThreadPoolExecutor(5) as threads:
        asked = list(threads.map(ask, range(5)))

    assert (sum(asked), most) == (1, 1)


def test_an_answered_page_ends_the_rest_and_a_robots_txt_does_not(
    documents: Documents, make_slots: Callable[..., HostSlots]
) -> None:
    refused(make_slots())
    ends(documents)
    with make_slots().slot(HOST, 0, page=False):
        pass
    assert round(refused(make_slots()).retry_after or 0) == 20
    ends(documents)
    with pytest.raises(FetchError), make_slots().slot(HOST, 0, page=True):
        raise FetchError("the page answers 404", status=404)

    with make_slots().slot(HOST, 0, page=True), make_slots().slot(HOST, 0, page=True):
        pass
    assert round(refused(make_slots()).retry_after or 0) == 10


def test_a_probe_without_an_answer_prolongs_the_rest(
    documents: Documents, make_slots: Callable[..., HostSlots]
) -> None:
    with pytest.raises(FetchError), make_slots().slot(HOST, 0, page=True):
        raise FetchError("it does not answer in time", again=True)
    refused(make_slots())
    ends(documents)

    with pytest.raises(HostRestsError) as caught, make_slots().slot(HOST, 0, page=True):
        raise FetchError("it does not answer in time", again=True)
    assert round(caught.value.retry_after or 0) == 20


def test_two_refusals_at_once_are_one_rest(make_slots: Callable[..., HostSlots]) -> None:
    with pytest.raises(HostRestsError) as caught, make_slots().slot(HOST, 0, page=True):
        assert round(refused(make_slots()).retry_after or 0) == 10
        raise FetchError("no", status=429, again=True)
    assert round(caught.value.retry_after or 0) == 10


def test_after_a_day_without_a_request_the_rests_start_again_at_the_shortest(
    documents: Documents, make_slots: Callable[..., HostSlots]
) -> None:
    for _ in range(4):
        refused(make_slots())
        ends(documents)
    documents.mojodex.run("UPDATE md_background_host_slot SET rests_until = now() - interval '25 hours'")

    assert round(refused(make_slots()).retry_after or 0) == 10


def test_after_three_days_of_waiting_a_request_fails(make_slots: Callable[..., HostSlots]) -> None:
    with pytest.raises(FetchError, match="no"), make_slots(hours=73).slot(HOST, 0, page=True):
        raise FetchError("no", status=503, again=True)
    with (
        pytest.raises(FetchError, match="has asked us to slow down for 72 hours"),
        make_slots(hours=73).slot(HOST, 0, page=True),
    ):
        pytest.fail("it has a slot")
    with pytest.raises(HostRestsError), make_slots(hours=71).slot(HOST, 0, page=True):
        pytest.fail("it has a slot")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Tue, 01 Dec 2026 12:01:00 GMT", 60),
        ("Tuesday, 01-Dec-26 12:01:00 GMT", 60),
        ("Tue, 01 Dec 2026 11:00:00 GMT", -3600),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("9" * 30, None),
        ("Tue, 99 Dec 2026 12:01:00 GMT", None),
        ("Tue, 01 Dec 2026 12:01:00 +9999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert fetch._retry_after(said, datetime(2026, 12, 1, 12, tzinfo=UTC)) == seconds


# Crawls.


@pytest.mark.parametrize("robots_too", [True, False], ids=["all of it", "pages only"])
def test_a_site_that_refuses_for_a_while_is_complete_afterwards(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, robots_too: bool
) -> None:
    """Two workers meet ten minutes of 429, shortened twentyfold."""
    monkeypatch.setattr(host_slots, "_seconds", lambda pauses, _answer: 0.5 * 2 ** min(pauses, 2))
    monkeypatch.setattr(queues, "back_off_seconds", lambda *_: 0)
    documents.site.simple("/", *(f"/{n}" for n in range(8)))
    other = documents.mojodex.user()
    waiting = deque([asking(documents), asking(documents) | {"user_id": other}])
    # Three pages are answered before.
    refusing = Refusing(documents, "/2", lambda path: robots_too or path != "/robots.txt")

    def work() -> None:
        while not refusing.ended or not is_crawled():
            with suppress(IndexError):
                body = waiting.popleft()
                if failed_ids(documents.websites.work(body, seconds=300)):
                    waiting.append(body)
            waiting.extend(documents.websites.queued())
            time.sleep(0.05)

    def is_crawled() -> bool:
        jobs = documents.mojodex.rows("SELECT outcome FROM md_background_job WHERE process = :p", p=CRAWL)
        return all((job.outcome or {}).get("crawled") for job in jobs)

    with ThreadPoolExecutor() as threads:
        both = [threads.submit(work) for _ in range(2)]
        time.sleep(8)
        asked = len(refusing.asked)
        # The last request is answered by then.
        time.sleep(0.3)
        pauses = rest(documents).pauses
        refusing.stop()
        for each in both:
            each.result()
    documents.ingest()

    for user in (documents.user_id, other):
        documents.user_id = user
        job = documents.job()
        assert (job.state, job.outcome["stored"], job.outcome["found"]) == ("done", 9, 9), job.outcome
        assert job.outcome.get("rounds", 0) == 0
    # One request for each rest, and one more that was under way when the rests began.
    assert pauses >= 3
    assert asked <= pauses + 1, refusing.asked


def test_a_crawl_that_meets_a_rest_is_retried_after_it_and_sends_no_request(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b")
    refusing = Refusing(documents, "/a", lambda path: path == "/a")
    documents.site.pages["/a"].headers["Retry-After"] = "100"

    assert len(work_through(documents, asking(documents))) == 1
    asked = len(documents.site.requests)
    assert len(work_through(documents, asking(documents))) == 1

    assert len(documents.site.requests) == asked
    assert documents.job().state == "queued"
    assert documents.job().attempts == 0
    assert documents.job().outcome.get("rounds", 0) == 0
    refusing.stop()
    rest_ends(documents)
    assert work_through(documents, asking(documents)) == []
    documents.ingest()
    assert documents.job().outcome["stored"] == 3
    assert rest(documents).pauses is None


def test_the_message_becomes_visible_after_the_servers_retry_after(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.site.simple("/")
    documents.site.pages["/"] = slow_down(503, **{"Retry-After": "300"})
    seconds: list[int] = []
    monkeypatch.setattr(queues, "retry_later", lambda _queue, _record, later: seconds.append(later))

    work_through(documents, asking(documents))

    (later,) = seconds
    assert 299 <= later <= 300
    assert 299 < rest(documents).seconds <= 300


@pytest.mark.parametrize("status", [429, 503])
def test_a_robots_txt_that_refuses_is_waited_for(documents: Documents, status: int) -> None:
    documents.site.simple("/", "/a")
    documents.site.pages["/robots.txt"] = slow_down(status)

    assert len(work_through(documents, asking(documents))) == 1
    assert documents.site.requests == ["/robots.txt"]
    assert documents.job().state == "queued"
    documents.site.pages.pop("/robots.txt")
    rest_ends(documents)

    assert documents.read().outcome["stored"] == 2


def test_a_page_that_is_refused_alone_fails_alone(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    documents.site.pages["/b"] = slow_down(503)

    work_until_crawled(documents)

    assert documents.reasons() == {"/b": "the page answers 503"}
    assert (documents.job().state, documents.job().outcome["stored"]) == ("done", 3)
    assert documents.site.requests.count("/b") == 4
    # The first page is fetched again, to check whether the host refuses everything.
    assert documents.site.requests.count("/") == 2


def test_a_host_that_answers_one_page_after_each_rest_is_still_read(documents: Documents) -> None:
    paths = [f"/{n}" for n in range(8)]
    documents.site.simple("/", *paths)
    pages = dict(documents.site.pages)
    left = 1

    def before(path: str) -> None:
        nonlocal left
        if path in pages:
            documents.site.pages[path] = pages[path] if left > 0 else slow_down()
            left -= 1

    documents.site.before = before
    rests = 0
    while work_through(documents, asking(documents)):
        rest_ends(documents)
        left = 1
        rests += 1
        assert rests < 20
    documents.ingest()

    assert documents.reasons() == {}
    assert documents.job().outcome["stored"] == 9


def test_a_page_does_not_fail_because_its_probes_are_refused(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b")
    refusing = Refusing(documents, "/a")
    for _ in range(10):
        assert len(work_through(documents, asking(documents))) == 1
        rest_ends(documents)

    refusing.stop()

    assert documents.read().outcome["stored"] == 3


def test_a_refused_sitemap_is_waited_for_only_a_few_times(documents: Documents) -> None:
    documents.site.simple("/", "/a")
    documents.site.pages["/sitemap.xml"] = slow_down(503)

    work_until_crawled(documents)

    assert documents.job().outcome["stored"] == 2
    assert documents.site.requests.count("/sitemap.xml") == 4


def test_after_three_days_unread_pages_fail_and_the_others_are_kept(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b")
    Refusing(documents, "/a")
    assert len(work_through(documents, asking(documents))) == 1
    documents.mojodex.run("UPDATE md_background_job SET queued_at = queued_at - interval '73 hours'")
    asked = len(documents.site.requests)

    assert work_through(documents, asking(documents)) == []
    documents.ingest()

    why = "its host has asked us to slow down for 72 hours"
    assert documents.reasons() == {"/a": why, "/b": why}
    assert (documents.job().state, documents.job().outcome["stored"]) == ("done", 1)
    assert len(documents.site.requests) == asked


def test_an_update_waits_for_its_host(documents: Documents) -> None:
    documents.site.simple("/")
    documents.read()
    pk = documents.documents()["/"]
    documents.site.requests.clear()
    page = documents.site.pages["/"]
    body = {"user_id": documents.user_id, "document_pk": pk}
    documents.site.pages["/"] = slow_down(503)

    for _ in range(2):
        assert len(failed_ids(documents.updates.work(body))) == 1

    assert documents.site.requests == ["/robots.txt", "/"]
    page.body = str(page.body).replace("by hand", "by machine")
    documents.site.pages["/"] = page
    rest_ends(documents)
    assert not failed_ids(documents.updates.work(body))
    assert "by machine" in documents.text(pk)[0]
    # The probe is the page itself, without robots.txt.
    assert documents.site.requests == ["/robots.txt", "/", "/"]


def test_an_update_waits_at_most_three_days(documents: Documents) -> None:
    documents.site.simple("/")
    documents.read()
    pk = documents.documents()["/"]
    documents.site.pages["/"] = slow_down(503)
    event = sqs_event({"user_id": documents.user_id, "document_pk": pk})
    assert len(failed_ids(documents.updates.work_on(event))) == 1
    documents.mojodex.run("UPDATE md_background_job SET queued_at = queued_at - interval '73 hours'")

    assert not failed_ids(documents.updates.work_on(event))

    job = documents.mojodex.job(pk, "update_document")
    assert job.state == "failed"
    assert job.outcome["reason"].endswith("its host has asked us to slow down for 72 hours")


def test_rests_of_the_host_do_not_count_as_crawl_time(
    make_documents: Callable[..., Documents],
) -> None:
    documents = make_documents(crawl_minutes_limit=1)
    documents.site.simple("/", "/a", "/b")
    refusing = Refusing(documents, "/a")
    assert len(work_through(documents, asking(documents))) == 1
    documents.mojodex.run("UPDATE md_background_job SET queued_at = queued_at - interval '70 hours'")
    refusing.stop()
    rest_ends(documents)

    assert documents.read().outcome["limits"] == []
    assert documents.job().outcome["stored"] == 3
