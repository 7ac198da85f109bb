"""Saves of documents, called as workers call them: they change only their own rows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from documents.document_store import Known, Thought, Written, chunk_hash, remember, write
from documents.ingest_page import ingestion
from documents.ingest_page.ingestion import StagedPage, end_page_of
from documents.recipe import recipe_of
from documents.text.reader import Boilerplate, PageText
from documents.update_document import update
from documents.update_document.update import Document, Edition
from documents.web import urls
from mojodex import jobs
from mojodex.errors import NothingToDoError, TransientError
from tests.fake_model import vector
from tests.metrics import emitted
from tests.mojodex import Mojodex

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
WITHOUT_ZONE = NOW.replace(tzinfo=None)
RECIPE = recipe_of("text-embedding-ada-002", Boilerplate())
URL, OTHER_URL = "https://example.com/a", "https://example.com/b"


@pytest.fixture
def user_id(mojodex: Mojodex) -> str:
    return mojodex.user()


def document(mojodex: Mojodex, user_id: str, *chunks: str, name: str = URL, deleted: bool = False) -> int:
    pk = mojodex.run(
        "INSERT INTO md_document (name, author_user_id, creation_date, document_type, deleted_by_user)"
        " VALUES (:n, :u, now(), 'webpage', :d) RETURNING document_pk",
        n=name,
        u=user_id,
        d=deleted,
    )
    for place, chunk in enumerate(chunks):
        add_chunk(mojodex, pk, place, chunk)
    return int(pk)


def add_chunk(mojodex: Mojodex, document_pk: int, place: int, chunk: str) -> int:
    return int(
        mojodex.run(
            "INSERT INTO md_document_chunk (document_fk, index, embedding, chunk_text)"
            " VALUES (:d, :i, CAST(:v AS vector), :t) RETURNING document_chunk_pk",
            d=document_pk,
            i=place,
            v=str(vector(chunk)),
            t=chunk,
        )
    )


def chunks_of(mojodex: Mojodex, document_pk: int) -> list[Any]:
    return mojodex.rows(
        "SELECT document_chunk_pk AS pk, index AS place, chunk_text, deleted,"
        " vector_dims(embedding) AS dimensions"
        " FROM md_document_chunk WHERE document_fk = :d ORDER BY index, document_chunk_pk",
        d=document_pk,
    )


def texts(mojodex: Mojodex, document_pk: int) -> list[str]:
    rows = chunks_of(mojodex, document_pk)
    assert [row.place for row in rows] == list(range(len(rows)))
    return [row.chunk_text for row in rows]


def updated(mojodex: Mojodex, document_pk: int) -> Any:
    return mojodex.run("SELECT last_update_date FROM md_document WHERE document_pk = :d", d=document_pk)


def thought(*new: str, left_out: tuple[str, ...] = ()) -> Thought:
    hashes = frozenset(map(chunk_hash, left_out))
    return Thought(hashes, {chunk_hash(chunk): vector(chunk) for chunk in new})


def written(mojodex: Mojodex, document_pk: int, chunks: list[str], said: Thought) -> Written:
    with Session(mojodex.engine) as session:
        result = write(session, document_pk, chunks, said, NOW)
        session.commit()
    return result


# Chunks.


def test_a_document_gets_these_chunks_and_no_other_document_changes(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id, "kept", "gone")
    other = document(mojodex, user_id, "kept", "gone", "its own", name=OTHER_URL)

    result = written(mojodex, pk, ["new", "kept", "noise"], thought("new", left_out=("noise",)))

    assert result == Written(kept=1, new=1, gone=1, left_out=1, changed=True)
    assert texts(mojodex, pk) == ["new", "kept"]
    assert texts(mojodex, other) == ["kept", "gone", "its own"]
    assert {row.dimensions for row in chunks_of(mojodex, pk)} == {len(vector("new"))}
    assert updated(mojodex, pk) == NOW
    assert updated(mojodex, other) is None


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [(["a", "b"], ["b", "a"], []), (["a"], ["a", "b"], ["b"]), (["a", "b"], ["a"], [])],
    ids=["moved", "new", "gone"],
)
def test_each_change_marks_the_document_as_updated(
    mojodex: Mojodex, user_id: str, before: list[str], after: list[str], new: list[str]
) -> None:
    pk = document(mojodex, user_id, *before)
    rows = {row.chunk_text: row.pk for row in chunks_of(mojodex, pk)}

    assert written(mojodex, pk, after, thought(*new)).changed

    assert texts(mojodex, pk) == after
    assert updated(mojodex, pk) == NOW
    now = {row.chunk_text: row.pk for row in chunks_of(mojodex, pk)}
    assert {each: now[each] for each in after if each in rows} == {
        each: rows[each] for each in now if each in rows
    }


def test_unchanged_chunks_are_not_written_again(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id, "a", "b")

    assert written(mojodex, pk, ["a", "b"], thought()) == Written(2, 0, 0, 0, changed=False)

    assert updated(mojodex, pk) is None


def test_a_chunk_that_was_marked_as_deleted_is_restored(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id, "a", "b")
    mojodex.run("UPDATE md_document_chunk SET deleted = now() WHERE chunk_text = 'a'")

    assert written(mojodex, pk, ["a", "b"], thought()).changed

    assert [row.deleted for row in chunks_of(mojodex, pk)] == [None, None]


def test_only_the_first_of_equal_chunks_stays(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id)
    # The order of writing differs from the order of reading.
    later, first = (add_chunk(mojodex, pk, place, "twice") for place in (1, 0))
    assert later < first

    assert written(mojodex, pk, ["twice"], thought()) == Written(1, 0, 1, 0, changed=True)

    assert [row.pk for row in chunks_of(mojodex, pk)] == [first]


def test_a_save_is_retried_at_once_if_a_chunk_was_removed_meanwhile(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id, "a")

    with pytest.raises(TransientError) as raised:
        written(mojodex, pk, ["a", "was there"], thought())

    assert raised.value.retry_after == 1
    assert texts(mojodex, pk) == ["a"]


def test_the_remembered_row_of_a_document_is_replaced(mojodex: Mojodex, user_id: str) -> None:
    pk, other = (document(mojodex, user_id, name=name) for name in (URL, OTHER_URL))
    for number, said in enumerate((thought(left_out=tuple("abcdefgh")), thought(left_out=("z",)))):
        with Session(mojodex.engine) as session:
            for each in (pk, other)[number:]:
                remember(session, each, said, etag=f'"{number}"', html_hash=str(number), edition_sent=NOW)
            session.commit()

    rows = mojodex.rows("SELECT * FROM md_background_document ORDER BY document_fk")
    assert [(row.document_fk, row.etag, row.html_hash, row.edition_sent) for row in rows] == [
        (pk, '"0"', "0", NOW),
        (other, '"1"', "1", NOW),
    ]
    assert rows[0].left_out == sorted(map(chunk_hash, "abcdefgh"))
    assert rows[1].left_out == [chunk_hash("z")]


# Pages.


def page(mojodex: Mojodex, user_id: str, url: str = URL, state: str = "staged", occasion: str = "r1") -> int:
    return int(
        mojodex.run(
            "INSERT INTO md_background_page"
            " (subject, occasion, user_id, url, key, depth, state, html, found_at)"
            " VALUES ('site', :o, :u, :url, :k, 0, :s, 'html', now()) RETURNING page_pk",
            o=occasion,
            u=user_id,
            url=url,
            k=urls.key(url),
            s=state,
        )
    )


def begun(mojodex: Mojodex, process: str, subject: object) -> jobs.Job:
    key = {"process": process, "subject": str(subject), "occasion": ""}
    with Session(mojodex.engine) as session:
        delivery = jobs.Delivery("m", NOW + jobs.RETENTION)
        job = jobs.begin(session, delivery, **key, now=NOW, lease_seconds=150)
    assert isinstance(job, jobs.Job)
    return job


def save_page(
    mojodex: Mojodex,
    user_id: str,
    page_pk: int,
    chunks: list[str],
    said: Thought,
    url: str = URL,
    fetched_at: datetime | None = None,
) -> Any:
    """Save a page and return its job's row."""
    job = begun(mojodex, "ingest_page", page_pk)
    staged = StagedPage(
        *(page_pk, "site", "r1", user_id, url, b"", None, "hash", '"etag"'),
        fetched_at=fetched_at,
        depth=0,
        document_pk=None,
        refreshes=False,
        boilerplate=Boilerplate(),
        known=Known(),
    )
    with Session(mojodex.engine) as session:
        ingestion.save(session, staged, job, PageText(chunks), said, RECIPE, NOW)
    return mojodex.job(page_pk, "ingest_page")


def state_of(mojodex: Mojodex, page_pk: int) -> tuple[str, bytes | None]:
    (row,) = mojodex.rows("SELECT state, html FROM md_background_page WHERE page_pk = :p", p=page_pk)
    return row.state, row.html and bytes(row.html)


def only_document(mojodex: Mojodex, user_id: str) -> Any:
    (row,) = mojodex.rows("SELECT * FROM md_document WHERE author_user_id = :u", u=user_id)
    return row


WAITS = ("staged", b"html")


def fetched_now(mojodex: Mojodex, user_id: str) -> int:
    """Add a document whose page was fetched at NOW and return its key."""
    held = document(mojodex, user_id, "a")
    mojodex.run(
        "INSERT INTO md_background_document (document_fk, left_out, fetched_at) VALUES (:d, '{}', :now)",
        d=held,
        now=NOW,
    )
    return held


@pytest.mark.parametrize(
    ("fetched", "is_saved"),
    [(NOW - timedelta(hours=1), False), (NOW + timedelta(hours=1), True), (None, True)],
)
def test_of_two_fetches_of_a_page_the_later_one_wins(
    mojodex: Mojodex, user_id: str, fetched: datetime | None, *, is_saved: bool
) -> None:
    """A page fetched at ten is ingested at twelve, after an update fetched it at eleven."""
    held = fetched_now(mojodex, user_id)
    pk = page(mojodex, user_id)

    job = save_page(mojodex, user_id, pk, ["b"], thought("b"), fetched_at=fetched)

    assert texts(mojodex, held) == (["b"] if is_saved else ["a"])
    assert state_of(mojodex, pk)[0] == ("stored" if is_saved else "unchanged")
    assert job.state == "done"


def test_new_vectors_of_a_text_do_not_replace_a_later_edition(mojodex: Mojodex, user_id: str) -> None:
    held = document(mojodex, user_id, "the edition")
    mojodex.run(
        "INSERT INTO md_background_document (document_fk, left_out, recipe) VALUES (:d, '{}', :r)",
        d=held,
        r=RECIPE,
    )

    with pytest.raises(TransientError):
        save_edition(mojodex, held, edition("the text before", sent=None), thought("the text before"))

    assert texts(mojodex, held) == ["the edition"]


def test_an_update_with_an_earlier_fetch_changes_nothing(mojodex: Mojodex, user_id: str) -> None:
    held = fetched_now(mojodex, user_id)

    with pytest.raises(NothingToDoError, match="it has not changed"):
        save_edition(mojodex, held, Edition(["b"], fetched_at=NOW - timedelta(hours=1)), thought("b"))

    assert texts(mojodex, held) == ["a"]


def test_a_page_becomes_a_document_of_its_user_and_no_other_page_is_finished(
    mojodex: Mojodex, user_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = document(mojodex, mojodex.user(), "theirs")
    other_page = page(mojodex, user_id, OTHER_URL)
    pk = page(mojodex, user_id)

    job = save_page(mojodex, user_id, pk, ["a"], thought("a"))

    row = only_document(mojodex, user_id)
    assert (row.name, row.document_type, row.deleted_by_user) == (URL, "webpage", False)
    assert row.creation_date == WITHOUT_ZONE
    assert texts(mojodex, row.document_pk) == ["a"]
    assert (job.state, job.finished_at) == ("done", NOW)
    assert job.outcome == {"document_pk": row.document_pk, "kept": 0, "new": 1, "gone": 0, "left_out": 0}
    (kept,) = mojodex.rows("SELECT * FROM md_background_document")
    assert (kept.document_fk, kept.etag, kept.html_hash) == (row.document_pk, '"etag"', "hash")
    assert state_of(mojodex, pk) == ("stored", None)
    assert state_of(mojodex, other_page) == WAITS
    assert texts(mojodex, theirs) == ["theirs"]
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"PagesStored"}


def test_a_page_with_the_text_of_its_document_is_unchanged(
    mojodex: Mojodex, user_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document_pk = document(mojodex, user_id, "a")
    pk = page(mojodex, user_id)

    job = save_page(mojodex, user_id, pk, ["a"], thought())

    assert job.outcome["unchanged"] is True
    assert job.outcome["document_pk"] == document_pk
    assert state_of(mojodex, pk) == ("unchanged", None)
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"PagesUnchanged"}


def test_a_page_that_has_changed_is_stored(mojodex: Mojodex, user_id: str) -> None:
    document_pk = document(mojodex, user_id, "a")
    pk = page(mojodex, user_id)

    job = save_page(mojodex, user_id, pk, ["a", "b"], thought("b"))

    assert "unchanged" not in job.outcome
    assert texts(mojodex, document_pk) == ["a", "b"]
    assert state_of(mojodex, pk) == ("stored", None)


def test_a_deleted_document_is_restored_unless_another_one_exists(mojodex: Mojodex, user_id: str) -> None:
    deleted = document(mojodex, user_id, "a", deleted=True)
    pk = page(mojodex, user_id)

    job = save_page(mojodex, user_id, pk, ["a"], thought())

    assert not only_document(mojodex, user_id).deleted_by_user
    assert "unchanged" not in job.outcome
    mojodex.run("UPDATE md_document SET deleted_by_user = true")
    there = document(mojodex, user_id, "a")
    assert (
        save_page(mojodex, user_id, page(mojodex, user_id, occasion="r2"), ["a"], thought()).outcome[
            "document_pk"
        ]
        == there
    )
    assert mojodex.run("SELECT deleted_by_user FROM md_document WHERE document_pk = :d", d=deleted)


@pytest.mark.parametrize("state", ["stored", "unchanged"])
def test_a_page_that_was_fetched_before_the_saved_one_changes_nothing(
    mojodex: Mojodex, user_id: str, state: str
) -> None:
    document_pk = document(mojodex, user_id, "of the later page")
    pk = page(mojodex, user_id)
    for occasion in ("r2", "r3"):
        page(mojodex, user_id, state=state, occasion=occasion)

    job = save_page(mojodex, user_id, pk, ["old"], thought("old"))

    assert (job.state, job.outcome) == ("done", {"unchanged": True})
    assert state_of(mojodex, pk) == ("unchanged", None)
    assert texts(mojodex, document_pk) == ["of the later page"]


def test_a_page_is_overtaken_only_by_a_later_one_of_its_user_and_address(
    mojodex: Mojodex, user_id: str
) -> None:
    page(mojodex, user_id, state="stored", occasion="r0")
    pk = page(mojodex, user_id)
    page(mojodex, mojodex.user(), state="stored", occasion="of another user")
    page(mojodex, user_id, OTHER_URL, state="stored")
    for state in ("staged", "found", "skipped", "failed"):
        page(mojodex, user_id, state=state, occasion=state)

    save_page(mojodex, user_id, pk, ["a"], thought("a"))

    assert state_of(mojodex, pk) == ("stored", None)


def test_a_page_of_a_cancelled_website_writes_nothing(mojodex: Mojodex, user_id: str) -> None:
    page_pk = page(mojodex, user_id, state="failed")

    with pytest.raises(NothingToDoError):
        save_page(mojodex, user_id, page_pk, ["a"], thought("a"))

    assert state_of(mojodex, page_pk)[0] == "failed"
    assert mojodex.rows("SELECT * FROM md_document") == []
    assert mojodex.rows("SELECT * FROM md_document_chunk") == []


def test_a_page_without_relevant_chunks_leaves_its_document_as_it_is(mojodex: Mojodex, user_id: str) -> None:
    document_pk = document(mojodex, user_id, "a")

    with pytest.raises(NothingToDoError, match="nothing on it is relevant"):
        save_page(mojodex, user_id, page(mojodex, user_id), ["b", "c"], thought(left_out=("b", "c")))

    assert texts(mojodex, document_pk) == ["a"]


def test_a_job_without_a_document_finishes_its_own_page_only(mojodex: Mojodex, user_id: str) -> None:
    pk, other = page(mojodex, user_id), page(mojodex, user_id, OTHER_URL)
    ended = page(mojodex, user_id, state="stored", occasion="r2")

    for each in (pk, ended):
        with Session(mojodex.engine) as session:
            assert end_page_of(session, begun(mojodex, "ingest_page", each), "failed", "refused") == {}
            session.commit()

    assert state_of(mojodex, pk) == ("failed", None)
    assert mojodex.run("SELECT reason FROM md_background_page WHERE page_pk = :p", p=pk) == "refused"
    assert state_of(mojodex, other) == WAITS
    assert state_of(mojodex, ended) == ("stored", b"html")


class Locks:
    """Checks in the middle of a save which locks another transaction could take."""

    def __init__(self, mojodex: Mojodex, user_id: str, document_pk: int) -> None:
        self._mojodex, self._user_id, self._document_pk = mojodex, user_id, document_pk
        self.document_is_free = True
        self.makers: dict[tuple[str, str], bool] = {}

    def look(self, *arguments: Any) -> Written:
        try:
            lock = "SELECT FROM md_document WHERE document_pk = :d FOR UPDATE NOWAIT"
            self._mojodex.run(lock, d=self._document_pk)
        except DBAPIError:
            self.document_is_free = False
        for key in ((self._user_id, URL), (self._user_id, OTHER_URL), ("another user", URL)):
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(:k, 0))"
            self.makers[key] = self._mojodex.run(lock, k=f"{key[0]} {urls.key(key[1])}")
        return write(*arguments)


def test_while_a_page_is_saved_its_document_is_locked(
    mojodex: Mojodex, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = Locks(mojodex, user_id, document(mojodex, user_id, "a"))
    monkeypatch.setattr(ingestion, "write", locks.look)

    save_page(mojodex, user_id, page(mojodex, user_id), ["b"], thought("b"))

    assert not locks.document_is_free
    assert locks.makers == {(user_id, URL): False, (user_id, OTHER_URL): True, ("another user", URL): True}


# Editions.


def save_edition(mojodex: Mojodex, document_pk: int, edition: Edition, said: Thought) -> tuple[str, Any]:
    """Save an edition and return the save's answer and the job's row."""
    job = begun(mojodex, "update_document", f"{document_pk} {edition.sent}")
    before = Document(document_pk, URL, None, None, None, Boilerplate(), Known())
    with Session(mojodex.engine) as session:
        answer = update.save(session, before, job, edition, said, RECIPE, NOW)
    return answer, mojodex.job(job.subject, "update_document")


def edition(*chunks: str, sent: datetime | None = NOW) -> Edition:
    return Edition(list(chunks), sent=sent, etag='"etag"', html_hash="hash")


def test_an_edition_replaces_the_chunks_of_its_document_and_is_remembered(
    mojodex: Mojodex, user_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = document(mojodex, user_id, "b", name=OTHER_URL)
    pk = document(mojodex, user_id, "a")

    answer, job = save_edition(mojodex, pk, edition("b"), thought("b"))

    assert (answer, job.state, job.finished_at) == ("done", "done", NOW)
    assert job.outcome == {"document_pk": pk, "kept": 0, "new": 1, "gone": 1, "left_out": 0}
    assert texts(mojodex, pk) == texts(mojodex, other) == ["b"]
    (kept,) = mojodex.rows("SELECT * FROM md_background_document")
    assert (kept.document_fk, kept.etag, kept.html_hash, kept.edition_sent) == (pk, '"etag"', "hash", NOW)
    assert {name for _, name in emitted(capsys.readouterr().out)} == {"DocumentsUpdated"}


def test_while_an_edition_is_saved_its_document_is_locked(
    mojodex: Mojodex, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = document(mojodex, user_id, "a")
    locks = Locks(mojodex, user_id, pk)
    monkeypatch.setattr(update, "write", locks.look)

    save_edition(mojodex, pk, edition("b"), thought("b"))

    assert not locks.document_is_free


def test_an_edition_that_changes_nothing_is_skipped_and_remembered(
    mojodex: Mojodex, user_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pk = document(mojodex, user_id, "a")

    answer, job = save_edition(mojodex, pk, edition("a"), thought())

    assert (answer, job.state, job.finished_at) == ("skipped", "skipped", NOW)
    assert job.outcome == {"reason": "it has not changed"}
    assert mojodex.run("SELECT edition_sent FROM md_background_document") == NOW
    assert emitted(capsys.readouterr().out).total() == 0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(NOW, NOW), (None, NOW), (NOW, None), (NOW, NOW + timedelta.resolution)],
    ids=["same", "first", "a page", "later"],
)
def test_an_edition_that_was_not_sent_earlier_is_saved(
    mojodex: Mojodex, user_id: str, earlier: datetime | None, later: datetime | None
) -> None:
    pk = document(mojodex, user_id, "a")
    with Session(mojodex.engine) as session:
        remember(session, pk, thought(), edition_sent=earlier)
        session.commit()

    assert save_edition(mojodex, pk, edition("b", sent=later), thought("b"))[0] == "done"
    assert texts(mojodex, pk) == ["b"]


def test_an_edition_that_was_sent_before_the_saved_one_changes_nothing(
    mojodex: Mojodex, user_id: str
) -> None:
    pk = document(mojodex, user_id, "a")
    save_edition(mojodex, pk, edition("b"), thought("b"))

    with pytest.raises(NothingToDoError, match="a later edition was saved"):
        save_edition(mojodex, pk, edition("a", sent=NOW - timedelta.resolution), thought("a"))

    assert texts(mojodex, pk) == ["b"]


def test_an_edition_of_a_deleted_document_is_not_saved(mojodex: Mojodex, user_id: str) -> None:
    document(mojodex, user_id, name=OTHER_URL)
    pk = document(mojodex, user_id, "a", deleted=True)

    with pytest.raises(NothingToDoError, match="the user deleted it"):
        save_edition(mojodex, pk, edition("b"), thought("b"))

    assert texts(mojodex, pk) == ["a"]


def test_an_edition_without_relevant_chunks_is_not_saved(mojodex: Mojodex, user_id: str) -> None:
    pk = document(mojodex, user_id, "a")

    with pytest.raises(NothingToDoError, match="nothing in it is relevant"):
        save_edition(mojodex, pk, edition("b", "c"), thought(left_out=("b", "c")))

    assert texts(mojodex, pk) == ["a"]


@pytest.mark.parametrize("kind", ["page", "edition"])
def test_a_holder_whose_job_was_taken_over_saves_nothing(mojodex: Mojodex, user_id: str, kind: str) -> None:
    pk = document(mojodex, user_id, "a")
    page_pk = page(mojodex, user_id)
    job = replace(begun(mojodex, "p", "s"), lease=NOW - timedelta(seconds=1))
    staged = StagedPage(
        *(page_pk, "site", "r1", user_id, URL, b"", None, "", None, None),
        depth=0,
        document_pk=None,
        refreshes=False,
        boilerplate=Boilerplate(),
        known=Known(),
    )
    before = Document(pk, URL, None, None, None, Boilerplate(), Known())

    with Session(mojodex.engine) as session, pytest.raises(jobs.LeaseLostError):
        if kind == "page":
            ingestion.save(session, staged, job, PageText(["b"]), thought("b"), RECIPE, NOW)
        else:
            update.save(session, before, job, edition("b"), thought("b"), RECIPE, NOW)

    assert texts(mojodex, pk) == ["a"]
    assert state_of(mojodex, page_pk) == WAITS
