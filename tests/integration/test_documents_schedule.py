"""Lost pages and websites are published again. Those tried too often fail."""

from datetime import timedelta
from typing import Any

import pytest

from documents.create_from_website import crawl
from mojodex import jobs
from mojodex.clock import RESERVE_SECONDS, utc_now
from mojodex.queues import RETENTION
from tests.fake_model import FakeModel, Reply, embedded
from tests.integration.conftest import Documents

# The minutes that SQS keeps a message.
LIFE = int(RETENTION.total_seconds() // 60)


def later(documents: Documents, minutes: int) -> None:
    """Move the times in the ledger into the past."""
    for column in ("queued_at", "started_at", "message_expires_at"):
        documents.mojodex.run(
            f"UPDATE md_background_job SET {column} = {column} - make_interval(mins => :m)", m=minutes
        )


def published(documents: Documents) -> tuple[list[Any], list[Any]]:
    """Run the schedule and return its messages for pages and for websites."""
    number = documents.websites.schedule()
    bodies = documents.pages.queued(), documents.websites.queued()
    assert number == sum(map(len, bodies))
    return bodies


def crawled(documents: Documents, *paths: str) -> list[Any]:
    """Crawl a website, take the messages of its pages off the queue, and return them."""
    documents.site.simple(*paths)
    documents.ask()
    return documents.pages.queued()


def fails(model: FakeModel) -> None:
    model.embed = lambda _: Reply(status=500, headers={"Retry-After": "0"})


def half_crawled(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Crawl a part of a website. Return the message for the next invocation, which is lost."""
    documents.site.simple("/", *(f"/{n}" for n in range(6)))
    body = {"user_id": documents.user_id, "website_url": documents.site.url, "request_id": "r1"}
    seconds = documents.websites.worker.process.seconds_needed + 1
    with monkeypatch.context() as context:
        context.setattr(crawl, "SECONDS_NEEDED", seconds - 0.1)
        for page in documents.site.pages.values():
            page.delay = 0.1
        documents.websites.work(body, seconds=seconds + RESERVE_SECONDS)
    assert documents.websites.queued() == [body]
    return body


def test_nothing_is_due_if_nothing_is_lost(documents: Documents) -> None:
    assert published(documents) == ([], [])
    documents.site.simple("/", "/a")
    documents.read()
    later(documents, LIFE + 1)
    assert published(documents) == ([], [])


def test_a_page_whose_message_has_expired_is_published_again(documents: Documents, model: FakeModel) -> None:
    bodies = crawled(documents, "/", "/a")
    fails(model)
    documents.pages.work(*bodies)
    later(documents, LIFE - 1)
    assert published(documents)[0] == []
    later(documents, 2)

    pages, _ = published(documents)

    assert pages == bodies
    assert published(documents)[0] == []
    model.embed = embedded
    documents.pages.work(*pages)
    assert documents.job().state == "done"


def test_a_page_whose_worker_was_killed_and_its_message_lost_is_published_again(documents: Documents) -> None:
    (body,) = crawled(documents, "/")
    documents.mojodex.run(
        "UPDATE md_background_job SET state = 'running', attempts = 1, started_at = now()"
        " WHERE process = 'ingest_page'"
    )
    assert published(documents)[0] == []
    later(documents, LIFE + 1)

    assert published(documents)[0] == [body]


def test_a_page_that_waits_in_its_queue_is_left_there(documents: Documents) -> None:
    """Its message is not lost, but waits behind many others."""
    crawled(documents, "/", "/a")
    later(documents, 600)

    assert published(documents)[0] == []


def test_a_website_whose_message_is_lost_is_continued(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = half_crawled(documents, monkeypatch)
    asked = documents.site.asked()
    later(documents, LIFE - 1)
    assert published(documents) == ([], [])
    later(documents, 2)

    assert published(documents) == ([], [body])
    assert documents.websites.work(body, seconds=300) == {"batchItemFailures": []}
    documents.ingest()

    again = documents.site.asked()
    assert len(asked) + len(again) == len({*asked, *again}) == 7
    assert documents.job().outcome["stored"] == 7
    assert documents.job().state == "done"


def test_time_in_which_no_invocation_ran_does_not_count_as_crawl_time(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = half_crawled(documents, monkeypatch)
    monkeypatch.setattr(crawl, "utc_now", lambda: utc_now() + timedelta(hours=72))

    documents.websites.work(body, seconds=300)
    documents.ingest()

    assert documents.job().outcome["limits"] == []
    assert documents.job().outcome["stored"] == 7


def test_the_time_of_earlier_invocations_counts_as_crawl_time(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = half_crawled(documents, monkeypatch)
    documents.mojodex.run(
        """UPDATE md_background_job SET outcome = outcome || '{"seconds": 3600}'"""
        " WHERE process = 'create_from_website'"
    )

    documents.websites.work(body, seconds=300)

    assert documents.job().outcome["limits"] == ["60 minutes"]


def test_a_crawl_in_progress_is_left_alone(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    documents.site.simple("/", "/a", "/b")
    documents.site.before = lambda path: seen.append(published(documents)) if path == "/b" else None

    documents.ask()

    assert seen == [([], [])]


def test_an_address_without_a_scheme_is_published_again_as_it_is(documents: Documents) -> None:
    address = documents.site.url.removeprefix("http://")
    documents.site.simple("/")
    documents.ask(address)
    documents.pages.queued()
    later(documents, LIFE + 1)

    _, (body,) = published(documents)

    assert body == {"user_id": documents.user_id, "website_url": address, "request_id": "r1"}


def test_a_website_is_published_again_with_its_scope(documents: Documents) -> None:
    documents.site.simple("/docs", "/docs/a", "/b")
    documents.ask(f"{documents.site.url}/docs", scope="path")
    assert len(documents.pages.queued()) == 2
    later(documents, LIFE + 1)

    _, (body,) = published(documents)

    assert body["scope"] == "path"


def test_a_website_with_slow_ingestion_is_not_fetched_twice(documents: Documents) -> None:
    bodies = crawled(documents, "/", "/a")
    asked = documents.site.asked()
    later(documents, LIFE + 1)
    _, (website,) = published(documents)

    documents.websites.work(website, seconds=300)

    assert len(asked) == 2
    assert documents.site.asked() == []
    assert documents.pages.queued() == []
    documents.pages.work(*bodies)
    assert documents.job().state == "done"


def test_a_page_that_kills_its_workers_fails_and_its_website_is_finished(documents: Documents) -> None:
    (body,) = crawled(documents, "/")
    documents.mojodex.run(
        "UPDATE md_background_job SET state = 'running', attempts = :a, started_at = now()"
        " WHERE process = 'ingest_page'",
        a=jobs.MAX_ATTEMPTS,
    )
    later(documents, LIFE + 1)

    pages, _ = published(documents)
    documents.pages.work(*pages)

    assert pages == [body]
    assert documents.mojodex.job(body["page_pk"], "ingest_page").outcome == {
        "reason": "gave up after 20 attempts",
        "attempts_exhausted": True,
    }
    job = documents.job()
    assert job.state == "failed"
    assert job.outcome["reason"] == "no page could be stored: gave up after 20 attempts"
    assert (job.outcome["failed"], job.outcome["waiting"]) == (1, 0)
    later(documents, LIFE + 1)
    assert published(documents) == ([], [])
    assert len(documents.mojodex.rows("SELECT * FROM md_error")) == 2


def test_a_website_that_kills_its_workers_fails_with_all_its_pages(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_crawled(documents, monkeypatch)
    documents.mojodex.run(
        "UPDATE md_background_job SET state = 'running', attempts = :a, started_at = now()",
        a=jobs.MAX_ATTEMPTS,
    )
    later(documents, LIFE + 1)

    _, websites = published(documents)
    documents.websites.work(*websites, seconds=300)

    job = documents.job()
    assert (job.state, job.outcome["reason"]) == ("failed", "gave up after 20 attempts")
    assert job.outcome["waiting"] == 0
    assert job.outcome["failed"] == job.outcome["found"]
    later(documents, LIFE + 1)
    assert published(documents) == ([], [])
    assert documents.mojodex.run("SELECT count(*) FROM md_background_page WHERE html IS NOT NULL") == 0


def test_more_than_one_batch_is_published(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = crawled(documents, "/", *(f"/{n}" for n in range(6)))
    documents.mojodex.run("UPDATE md_background_job SET attempts = 1, state = 'queued', started_at = NULL")
    monkeypatch.setattr(documents.websites.scheduler, "PAGE_SIZE", 3)
    later(documents, LIFE + 1)

    pages, websites = published(documents)

    assert pages == bodies
    assert len(websites) == 1


def test_a_schedule_without_time_leaves_the_rest_due(documents: Documents) -> None:
    bodies = crawled(documents, "/")
    documents.mojodex.run("UPDATE md_background_job SET attempts = 1, state = 'queued', started_at = NULL")
    later(documents, LIFE + 1)

    assert documents.websites.schedule(seconds=5) == 0
    assert published(documents)[0] == bodies
