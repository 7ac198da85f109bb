"""Updates of documents: kept, new and deleted chunks, and that no failure loses a document."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from documents.text.chunks import SHORTEST_CHUNK
from documents.web import visit
from tests.fake_model import FakeModel, Reply, embedded, prompt_of, relevance, vector
from tests.integration.conftest import Documents
from tests.lambda_events import failed_ids, sqs_event
from tests.website import Page


def part(number: int, word: str = "w") -> str:
    """Return a part that becomes a chunk of its own, because chunks are cut before a heading."""
    return f"# Part {number}\n" + " ".join(f"{word}{number}x{n}" for n in range(45))


def text_of(*parts: str) -> str:
    return "\n\n".join(parts)


PARTS = [part(n) for n in range(6)]


def made(documents: Documents, *parts: str) -> int:
    """Make a text document that an update of ours has given these parts."""
    pk = documents.text_document("what was there before, which is long enough")
    assert documents.update(pk, text_of(*parts)).state == "done"
    assert len(documents.chunks(pk)) == len(parts)
    return pk


def at(documents: Documents, document_pk: int, edition: str, sent: datetime) -> Any:
    """Deliver an edition with this sent time and return its job's row."""
    event = sqs_event({"user_id": documents.user_id, "document_pk": document_pk, "edition": edition})
    event["Records"][0]["attributes"]["SentTimestamp"] = str(int(sent.timestamp() * 1000))
    assert documents.updates.work_on(event)["batchItemFailures"] == []
    (row,) = documents.mojodex.rows(
        "SELECT * FROM md_background_job WHERE subject = :s AND starts_with(occasion, :o)",
        s=str(document_pk),
        o=sent.isoformat(timespec="milliseconds"),
    )
    return row


def forget_costs(model: FakeModel) -> None:
    model.calls.clear()
    model.embeddings.clear()


def vectors_are_right(documents: Documents, document_pk: int) -> bool:
    rows = documents.chunks(document_pk)
    assert [row.place for row in rows] == list(range(len(rows)))
    return all(
        [round(n, 3) for n in json.loads(row.vector)] == [round(n, 3) for n in vector(row.chunk_text)]
        for row in rows
    )


def updated(documents: Documents, document_pk: int) -> Any:
    return documents.mojodex.run(
        "SELECT last_update_date FROM md_document WHERE document_pk = :d", d=document_pk
    )


# Documents that may not be updated.


def test_an_update_of_another_users_document_fails_with_its_reason(
    documents: Documents, model: FakeModel
) -> None:
    pk = documents.text_document("the text of a user who is somebody else")
    other = documents.mojodex.user()

    job = documents.update(pk, text_of(*PARTS), user_id=other)

    assert (job.state, job.outcome) == ("failed", {"reason": "the document is another user's"})
    assert documents.text(pk) == ["the text of a user who is somebody else"]
    assert model.calls == []


def test_an_unknown_document_is_a_dead_letter(documents: Documents) -> None:
    documents.updates.work({"user_id": documents.user_id, "document_pk": 2**31 - 1, "edition": "x"})

    ((_, reason),) = documents.updates.dead_letters()
    assert reason == "there is no document 2147483647"


@pytest.mark.parametrize(
    "change",
    [{"document_pk": "5"}, {"document_pk": 0}, {"user_id": None}, {"edition": 7}, {"text": "x"}],
)
def test_an_invalid_message_is_a_dead_letter(documents: Documents, change: dict[str, Any]) -> None:
    documents.updates.work({"user_id": documents.user_id, "document_pk": 5, "edition": "x"} | change)

    ((_, reason),) = documents.updates.dead_letters()
    assert next(iter(change)) in reason


def test_a_deleted_document_stays_as_it_is(documents: Documents, model: FakeModel) -> None:
    pk = documents.text_document("a text that the user has deleted since")
    documents.mojodex.run("UPDATE md_document SET deleted_by_user = true")

    job = documents.update(pk, text_of(*PARTS))

    assert (job.state, job.outcome) == ("skipped", {"reason": "the user deleted it"})
    assert documents.text(pk) == ["a text that the user has deleted since"]
    assert model.calls == []


def test_a_document_that_is_deleted_during_the_models_call_stays_as_it_is(
    documents: Documents, model: FakeModel
) -> None:
    pk = documents.text_document("a text that the user has deleted since")

    def script(request: Any) -> Reply:
        documents.mojodex.run("UPDATE md_document SET deleted_by_user = true")
        return relevance(request)

    model.script = script

    job = documents.update(pk, text_of(*PARTS))

    assert (job.state, job.outcome) == ("skipped", {"reason": "the user deleted it"})
    assert documents.text(pk) == ["a text that the user has deleted since"]


# Texts.


def test_a_changed_paragraph_costs_one_chunk_and_the_others_keep_their_rows(
    documents: Documents, model: FakeModel
) -> None:
    pk = made(documents, *PARTS)
    before = documents.chunks(pk)
    was_updated = updated(documents, pk)
    forget_costs(model)

    job = documents.update(pk, text_of(*PARTS[:2], part(2, "new"), *PARTS[3:]))

    assert (job.state, job.outcome) == (
        "done",
        {"document_pk": pk, "kept": 5, "new": 1, "gone": 1, "left_out": 0},
    )
    after = documents.chunks(pk)
    assert after[:2] + after[3:] == before[:2] + before[3:]
    assert "new2x44" in after[2].chunk_text
    assert [len(request["input"]) for request in model.embeddings] == [1]
    assert len(model.calls) == 1
    assert updated(documents, pk) > was_updated
    assert vectors_are_right(documents, pk)


def test_a_moved_chunk_keeps_its_key_and_gets_a_new_index(documents: Documents, model: FakeModel) -> None:
    pk = made(documents, *PARTS)
    keys = {row.chunk_text: row.document_chunk_pk for row in documents.chunks(pk)}
    forget_costs(model)

    job = documents.update(pk, text_of(PARTS[5], *PARTS[:5]))

    assert (job.outcome["kept"], job.outcome["new"], job.outcome["gone"]) == (6, 0, 0)
    after = documents.chunks(pk)
    assert [re.findall(r"w(\d)x0", row.chunk_text) for row in after] == [[c] for c in "501234"]
    assert {row.chunk_text: row.document_chunk_pk for row in after} == keys
    assert vectors_are_right(documents, pk)
    assert model.calls == model.embeddings == []


def test_an_inserted_part_moves_the_later_chunks(documents: Documents, model: FakeModel) -> None:
    pk = made(documents, *PARTS)

    job = documents.update(pk, text_of(part(9), *PARTS))

    assert (job.outcome["kept"], job.outcome["new"], job.outcome["gone"]) == (6, 1, 0)
    assert vectors_are_right(documents, pk)


def test_a_text_that_shrinks_and_grows_back_has_all_its_chunks(
    documents: Documents, model: FakeModel
) -> None:
    pk = made(documents, *PARTS)
    before = [(row.place, row.chunk_text, row.vector) for row in documents.chunks(pk)]

    documents.update(pk, PARTS[1])
    assert len(documents.chunks(pk)) == 1
    documents.update(pk, text_of(*PARTS))

    assert [(row.place, row.chunk_text, row.vector) for row in documents.chunks(pk)] == before
    assert all(row.deleted is None for row in documents.chunks(pk))


@pytest.mark.parametrize(
    ("edition", "why"),
    [
        (None, "the edition is empty"),
        ("", "the edition is empty"),
        (" \n\t\n\u3000 ", "the edition is empty"),
        ("Short.", "the edition is too short"),
        (text_of(*PARTS), "it has not changed"),
        (f"\r\n{text_of(*PARTS)}\r\n\r\n".replace("\n\n", "\r\n   \r\n"), "it has not changed"),
    ],
)
def test_an_edition_without_a_change_or_a_text_loses_nothing(
    documents: Documents, model: FakeModel, edition: str | None, why: str
) -> None:
    pk = made(documents, *PARTS)
    before, was_updated = documents.chunks(pk), updated(documents, pk)
    forget_costs(model)

    job = documents.update(pk, edition)

    assert (job.state, job.outcome) == ("skipped", {"reason": why})
    assert documents.chunks(pk) == before
    assert updated(documents, pk) == was_updated
    assert model.calls == model.embeddings == []


def test_an_edition_without_relevant_chunks_loses_nothing(documents: Documents, model: FakeModel) -> None:
    pk = made(documents, *PARTS)
    before = documents.chunks(pk)
    model.script = lambda request: relevance(request, lambda _: True)

    job = documents.update(pk, part(7))

    assert (job.state, job.outcome) == ("skipped", {"reason": "nothing in it is relevant"})
    assert documents.chunks(pk) == before


def test_an_irrelevant_chunk_is_left_out_and_judged_only_once(documents: Documents, model: FakeModel) -> None:
    pk = made(documents, *PARTS)
    model.script = lambda request: relevance(request, lambda chunk: "menu" in chunk)

    first = documents.update(pk, text_of(*PARTS, part(8, "menu")))
    forget_costs(model)
    second = documents.update(pk, text_of(*PARTS[1:], part(8, "menu")))

    # The menu is not stored, so nothing has changed.
    assert first.outcome == {"reason": "it has not changed"}
    assert second.outcome == {"document_pk": pk, "kept": 5, "new": 0, "gone": 1, "left_out": 1}
    assert model.calls == []
    assert len(documents.chunks(pk)) == 5


def test_an_older_edition_that_arrives_late_is_skipped(documents: Documents) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)

    newer = at(documents, pk, text_of(*PARTS[:2]), noon.replace(minute=1))
    older = at(documents, pk, text_of(*PARTS[3:]), noon)
    newest = at(documents, pk, text_of(*PARTS[:3]), noon.replace(minute=2))

    assert (newer.state, older.state, newest.state) == ("done", "skipped", "done")
    assert older.outcome == {"reason": "a later edition was saved"}
    assert len(documents.chunks(pk)) == 3


def test_an_older_edition_is_skipped_after_a_newer_one_that_changed_nothing(documents: Documents) -> None:
    pk = made(documents, *PARTS)
    noon = datetime.now(UTC).replace(microsecond=0)

    at(documents, pk, text_of(*PARTS), noon.replace(year=2090))
    older = at(documents, pk, text_of(*PARTS[3:]), noon.replace(year=2089))

    assert older.outcome == {"reason": "a later edition was saved"}
    assert len(documents.chunks(pk)) == 6


def test_two_editions_sent_in_the_same_millisecond_are_both_saved(documents: Documents) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    bodies = [{"user_id": documents.user_id, "document_pk": pk, "edition": edition} for edition in PARTS[:2]]
    events = [sqs_event(body) for body in bodies]
    events[1]["Records"][0]["attributes"] = events[0]["Records"][0]["attributes"]

    for event in events:
        assert documents.updates.work_on(event) == {"batchItemFailures": []}

    assert documents.text(pk) == [PARTS[1]]


def test_of_two_editions_at_once_the_later_one_wins(documents: Documents, model: FakeModel) -> None:
    pk = made(documents, *PARTS)
    model.script = lambda request: Reply(
        relevance(request).content, delay=0.4 if "old" in prompt_of(request) else 0.1
    )
    later = datetime.now(UTC).replace(microsecond=0, year=2090)
    editions = [
        (text_of(*PARTS[:2], part(2, "old")), later),
        (text_of(*PARTS[:2], part(2, "new")), later.replace(year=2091)),
    ]

    with ThreadPoolExecutor() as threads:
        ended = list(threads.map(lambda each: at(documents, pk, *each), editions))

    assert [job.state for job in ended] == ["skipped", "done"]
    assert ["new2x0" in text for text in documents.text(pk)] == [False, False, True]


def test_a_chunk_that_is_deleted_during_the_models_call_is_made_again(
    documents: Documents, model: FakeModel
) -> None:
    """Another update deleted a chunk that this one planned to keep, so this one is retried."""
    pk = made(documents, *PARTS)
    later = datetime.now(UTC).replace(microsecond=0, year=2090)
    done: list[Any] = []

    def script(request: Any) -> Reply:
        if not done:
            done.append(None)
            documents.update(pk, text_of(*PARTS[3:]))
        return relevance(request)

    model.script = script
    event = sqs_event({"user_id": documents.user_id, "document_pk": pk, "edition": text_of(*PARTS, part(7))})
    event["Records"][0]["attributes"]["SentTimestamp"] = str(int(later.timestamp() * 1000))

    assert failed_ids(documents.updates.work_on(event))
    assert len(documents.chunks(pk)) == 3
    assert documents.updates.work_on(event) == {"batchItemFailures": []}

    assert len(documents.chunks(pk)) == 7
    assert vectors_are_right(documents, pk)


def test_chunks_marked_as_deleted_are_restored_or_removed(documents: Documents, model: FakeModel) -> None:
    """Mojodex marked the chunks that it replaced, and then ignored the mark."""
    pk = made(documents, *PARTS)
    documents.mojodex.run("UPDATE md_document_chunk SET deleted = now() WHERE index >= 3")
    forget_costs(model)

    job = documents.update(pk, text_of(*PARTS[:5]))

    assert (job.outcome["kept"], job.outcome["new"], job.outcome["gone"]) == (5, 0, 1)
    assert all(row.deleted is None for row in documents.chunks(pk))
    assert len(documents.chunks(pk)) == 5
    assert model.embeddings == []


def test_a_text_of_the_old_system_is_updated(documents: Documents, model: FakeModel) -> None:
    """It has no row of ours, duplicate chunks, and gaps in its indexes."""
    pk = documents.text_document(PARTS[0], PARTS[1], PARTS[1], "something else that is long enough")
    documents.mojodex.run("UPDATE md_document_chunk SET index = index * 2")

    job = documents.update(pk, text_of(*PARTS[:3]))

    assert (job.outcome["kept"], job.outcome["new"], job.outcome["gone"]) == (2, 1, 2)
    assert vectors_are_right(documents, pk)
    assert len(documents.chunks(pk)) == 3


@pytest.mark.parametrize(
    "line",
    ["我们的产品在河边的老磨坊里手工制作，每一件在出厂前都要检查两次。", "👨‍👩‍👧🎉🇩🇪é́ ", "ก็ใช้ได้เลยนะครับ"],
    ids=["Chinese", "emoji", "Thai"],
)
def test_no_letter_is_lost_at_the_borders_of_chunks(documents: Documents, line: str) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    edition = "".join(f"{n}{line}" for n in range(60))

    documents.update(pk, edition)

    texts = documents.text(pk)
    assert len(texts) > 1
    assert "\ufffd" not in "".join(texts)
    whole = re.sub(r"\s", "", edition)
    kept = re.sub(r"\s", "", "".join(texts))
    # The rest of a cut line may be too short for a chunk.
    assert whole.startswith(kept)
    assert len(whole) - len(kept) < SHORTEST_CHUNK


def test_characters_that_no_database_stores_are_removed(documents: Documents) -> None:
    pk = documents.text_document("what was there before, which is long enough")

    job = documents.update(pk, f"A NUL: \0, a mark of byte order: \ufeff, no letter: \uffff, {PARTS[0]}")

    assert job.state == "done"
    assert "A NUL: ," in documents.text(pk)[0]


def test_a_failed_call_leaves_the_document_and_the_retry_updates_it(
    documents: Documents, model: FakeModel
) -> None:
    pk = made(documents, *PARTS)
    before = documents.chunks(pk)
    forget_costs(model)
    model.embed = lambda _: Reply(status=500, headers={"Retry-After": "0"})
    event = sqs_event(
        {"user_id": documents.user_id, "document_pk": pk, "edition": text_of(*PARTS[:5], part(7))}
    )

    assert failed_ids(documents.updates.work_on(event))
    assert documents.chunks(pk) == before
    model.embed = embedded
    assert documents.updates.work_on(event) == {"batchItemFailures": []}

    assert "w7x0" in documents.text(pk)[5]
    assert len(model.calls) == 1


def test_a_reader_sees_the_old_or_the_new_document_and_never_a_mix(
    documents: Documents, model: FakeModel
) -> None:
    old, new = [part(n) for n in range(12)], [part(n, "new") for n in range(0, 24, 2)]
    pk = made(documents, *old)
    seen: set[tuple[str, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(tuple(row.chunk_text for row in documents.chunks(pk)))

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        for edition in (new, old[:6] + new[:6], old):
            assert documents.update(pk, text_of(*edition)).state == "done"
        stop.set()
        for reader in readers:
            reader.result()

    whole = {tuple(each) for each in (old, new, old[:6] + new[:6])}
    assert seen <= whole
    assert len(seen) > 1


# Pages.


@pytest.fixture
def page(documents: Documents) -> Page:
    """Crawl a site and return its page /a."""
    documents.site.simple("/", "/a", "/b")
    documents.read()
    documents.site.asked()
    return documents.site.pages["/a"]


def change(page: Page) -> None:
    page.body = str(page.body).replace("by hand", "by machine")


def test_a_changed_page_is_fetched_and_its_document_updated(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    change(page)
    forget_costs(model)

    job = documents.update(pk)

    assert (job.state, job.outcome) == (
        "done",
        {"document_pk": pk, "kept": 0, "new": 1, "gone": 1, "left_out": 0},
    )
    (chunk,) = documents.text(pk)
    assert "by machine" in chunk
    # The boilerplate that the crawl found is removed here too.
    assert "makers of fine things" not in chunk
    assert (len(model.calls), len(model.embeddings)) == (1, 1)
    assert updated(documents, pk) is not None
    assert documents.site.asked() == ["/a"]


def test_a_page_that_has_not_changed_costs_one_request(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    before = documents.chunks(pk)
    forget_costs(model)

    job = documents.update(pk)

    assert (job.state, job.outcome) == ("skipped", {"reason": "it has not changed"})
    assert documents.chunks(pk) == before
    assert updated(documents, pk) == documents.mojodex.run(
        "SELECT last_update_date FROM md_document WHERE document_pk = :d", d=pk
    )
    assert model.calls == []


def test_a_page_is_requested_with_its_etag_and_may_answer_304(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    page.headers["ETag"] = '"v2"'
    change(page)
    documents.update(pk)
    documents.site.headers.clear()
    before = documents.chunks(pk)

    job = documents.update(pk)
    change_again = str(page.body).replace("by machine", "by magic")
    page.body, page.headers["ETag"] = change_again, '"v3"'
    again = documents.update(pk)

    assert job.outcome == {"reason": "it has not changed"}
    assert documents.site.headers[1]["If-None-Match"] == '"v2"'
    assert again.state == "done"
    assert documents.chunks(pk) != before
    assert "by magic" in documents.text(pk)[0]


def test_a_last_modified_date_alone_proves_nothing(documents: Documents, page: Page) -> None:
    pk = documents.documents()["/a"]
    page.headers["Last-Modified"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    change(page)
    documents.update(pk)
    page.body = str(page.body).replace("by machine", "by magic")
    documents.site.headers.clear()

    job = documents.update(pk)

    assert job.state == "done"
    assert "by magic" in documents.text(pk)[0]
    assert not any("If-Modified-Since" in headers for headers in documents.site.headers)


def gone(status: int) -> Any:
    return lambda page: setattr(page, "status", status)


def elsewhere(address: str) -> Any:
    return lambda page: (setattr(page, "status", 302), page.headers.update({"Location": address}))


def with_body(body: str) -> Any:
    return lambda page: setattr(page, "body", body)


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (gone(404), "the page cannot be fetched: the page answers 404"),
        (gone(410), "the page cannot be fetched: the page answers 410"),
        (gone(500), "the page cannot be fetched: the page answers 500"),
        (elsewhere("http://localhost:1/"), "the page cannot be fetched: it redirects to another site"),
        (elsewhere("/b"), "the page has moved to "),
        (elsewhere("/a"), "the page cannot be fetched: it redirects in a circle"),
        (with_body(""), "the page has no text any more"),
        (with_body("<html><body><img src=x></body></html>"), "the page has no text any more"),
        (
            lambda page: page.headers.update({"Content-Type": "application/pdf"}),
            "the page cannot be fetched: its content does not match its type (application/pdf)",
        ),
        (lambda page: setattr(page, "delay", 1.5), "the page cannot be fetched: it takes too long"),
        (with_body(f"<p>{'x' * 6_000_000}</p>"), "the page cannot be fetched: larger than 5000000 bytes"),
    ],
    ids=["404", "410", "500", "other site", "other page", "circle", "empty", "image", "PDF", "slow", "large"],
)
def test_a_page_that_cannot_be_read_keeps_its_document(
    documents: Documents,
    page: Page,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
    happens: Any,
    why: str,
) -> None:
    pk = documents.documents()["/a"]
    before = documents.chunks(pk)
    forget_costs(model)
    monkeypatch.setattr(visit, "SECONDS_OF_TRY", 1)
    change(page)
    happens(page)

    job = documents.update(pk)

    assert job.state == "failed"
    assert job.outcome["reason"].startswith(why)
    assert documents.chunks(pk) == before
    assert documents.documents()["/a"] == pk
    assert model.calls == model.embeddings == []


@pytest.mark.parametrize(
    ("robots", "why"),
    [
        (
            Page("User-agent: *\nDisallow: /a", headers={"Content-Type": "text/plain"}),
            "robots.txt forbids it",
        ),
        (Page("", status=500), "robots.txt cannot be read: the page answers 500"),
    ],
)
def test_an_update_obeys_robots_txt(documents: Documents, page: Page, robots: Page, why: str) -> None:
    change(page)
    documents.site.pages["/robots.txt"] = robots

    job = documents.update(documents.documents()["/a"])

    assert job.outcome == {"reason": f"the page cannot be fetched: {why}"}
    assert documents.site.asked() == []


def test_a_page_without_relevant_chunks_keeps_its_document(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    before = documents.chunks(pk)
    change(page)
    model.script = lambda request: relevance(request, lambda _: True)

    job = documents.update(pk)

    assert (job.state, job.outcome) == ("skipped", {"reason": "nothing in it is relevant"})
    assert documents.chunks(pk) == before


def test_an_unchanged_page_of_the_old_system_costs_no_call(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    documents.mojodex.run("TRUNCATE md_background_document")
    before = documents.chunks(pk)
    forget_costs(model)

    job = documents.update(pk)

    assert job.outcome == {"reason": "it has not changed"}
    assert documents.chunks(pk) == before
    assert model.calls == []


@pytest.mark.parametrize("name", ["Our page", "ftp://127.0.0.1/a", "", "http://[", "http://x:99999/"])
def test_a_page_without_a_valid_address_fails_with_a_clear_reason(
    documents: Documents, page: Page, name: str
) -> None:
    pk = documents.documents()["/a"]
    documents.mojodex.run("UPDATE md_document SET name = :n WHERE document_pk = :d", n=name, d=pk)

    job = documents.update(pk)

    assert job.state == "failed"
    assert "valid" in job.outcome["reason"] or "resolved" in job.outcome["reason"]
    assert len(documents.chunks(pk)) == 1


def test_an_edition_is_ignored_for_a_page(documents: Documents, page: Page) -> None:
    pk = documents.documents()["/a"]

    job = documents.update(pk, text_of(*PARTS))

    assert job.outcome == {"reason": "it has not changed"}
    assert "thing of /a is" in documents.text(pk)[0]


def test_an_update_that_is_delivered_twice_runs_once(documents: Documents, model: FakeModel) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    event = sqs_event({"user_id": documents.user_id, "document_pk": pk, "edition": text_of(*PARTS)})
    model.script = lambda request: Reply(relevance(request).content, delay=0.2)

    with ThreadPoolExecutor() as threads:
        both = list(threads.map(lambda _: documents.updates.work_on(event), range(2)))
    documents.updates.work_on(event)

    assert sorted(len(failed_ids(response)) for response in both) == [0, 1]
    assert len(model.calls) == 1
    assert len(documents.chunks(pk)) == 6


def later_update_waits(documents: Documents, document_pk: int) -> None:
    documents.mojodex.run(
        "INSERT INTO md_background_job (process, subject, occasion, state, attempts, message_expires_at)"
        " VALUES ('update_document', :s, '2999-01-01T00:00', 'queued', 0, now() + interval '1 day')",
        s=str(document_pk),
    )


def its_job(documents: Documents, document_pk: int) -> Any:
    (row,) = documents.mojodex.rows(
        "SELECT * FROM md_background_job WHERE process = 'update_document' AND subject = :s"
        " AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1",
        s=str(document_pk),
    )
    return row


def test_an_update_of_a_page_is_skipped_if_a_later_one_waits(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    """After an outage, each request has left a job, and one fetch serves them all."""
    pk = documents.documents()["/a"]
    change(page)
    documents.site.asked()
    forget_costs(model)
    later_update_waits(documents, pk)

    documents.update(pk)

    job = its_job(documents, pk)
    assert (job.state, job.outcome) == ("skipped", {"reason": "a later message updates it"})
    assert model.calls == []
    assert documents.site.asked() == []


def test_an_edition_does_not_wait_for_a_later_one(documents: Documents) -> None:
    """The later edition may be empty, or fail."""
    pk = made(documents, *PARTS[:2])
    later_update_waits(documents, pk)

    documents.update(pk, text_of(*PARTS))

    assert its_job(documents, pk).state == "done"
    assert len(documents.chunks(pk)) == len(PARTS)


def test_two_updates_of_a_page_at_once_leave_one_whole_document(
    documents: Documents, page: Page, model: FakeModel
) -> None:
    pk = documents.documents()["/a"]
    change(page)
    bodies = [{"user_id": documents.user_id, "document_pk": pk}] * 2

    def work(wait: float) -> Any:
        time.sleep(wait)
        return documents.updates.work(bodies[0])

    with ThreadPoolExecutor() as threads:
        both = list(threads.map(work, (0, 0.01)))

    assert all(response == {"batchItemFailures": []} for response in both)
    (chunk,) = documents.text(pk)
    assert "by machine" in chunk


def test_a_page_that_now_asks_not_to_be_indexed_keeps_its_document(
    documents: Documents, model: FakeModel
) -> None:
    documents.site.simple("/", "/a")
    documents.read()
    before = documents.contents()
    for path, page in documents.site.pages.items():
        page.body = str(page.body).replace("by hand", "by machine")
        if path == "/":
            page.body = page.body.replace("<head>", '<head><meta name="robots" content="noindex">')
        else:
            page.headers["X-Robots-Tag"] = "none"
    forget_costs(model)

    for pk in documents.documents().values():
        job = documents.update(pk)
        assert (job.state, job.outcome["reason"]) == ("skipped", "it asks not to be indexed (noindex)")

    assert documents.contents() == before
    assert model.calls == []
