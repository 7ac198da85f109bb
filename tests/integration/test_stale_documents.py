"""A document with an old recipe is written again from the same page, and only new parts are paid."""

from collections.abc import Callable
from dataclasses import replace

from documents.recipe import recipe_of
from documents.text.reader import Boilerplate
from tests.fake_model import FakeModel
from tests.integration.conftest import Documents

OLDER = "0 text-embedding-ada-002 0123456789abcdef"


def recipes(documents: Documents) -> dict[str, str | None]:
    rows = documents.mojodex.rows(
        "SELECT name, recipe FROM md_background_document JOIN md_document ON document_fk = document_pk"
    )
    return {row.name.removeprefix(documents.site.url): row.recipe for row in rows}


def make_stale(documents: Documents, recipe: str | None = OLDER) -> None:
    documents.mojodex.run("UPDATE md_background_document SET recipe = :r", r=recipe)


def test_a_document_without_boilerplate_has_the_recipe_of_its_site(documents: Documents) -> None:
    documents.site.simple("/", "/a", "/b", "/c")

    documents.read()

    found = recipes(documents)
    # The first page keeps the boilerplate, so its recipe differs.
    assert len(set(found.values())) == 2
    assert found["/a"] == found["/b"] == found["/c"] != found["/"]
    assert recipe_of("text-embedding-ada-002", Boilerplate()) not in found.values()


def test_a_new_crawl_writes_stale_documents_again(documents: Documents, model: FakeModel) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    documents.read()
    before, wanted = documents.contents(), recipes(documents)
    for recipe in (OLDER, None):
        make_stale(documents, recipe)
        paid = len(model.calls), len(model.embeddings)

        job = documents.read(request=f"r {recipe}")

        assert job.outcome["unchanged"] == 4
        assert recipes(documents) == wanted
        # The chunks are the same, so no model was called.
        assert documents.contents() == before
        assert (len(model.calls), len(model.embeddings)) == paid


def test_an_update_writes_a_stale_document_again_although_its_page_is_unchanged(
    documents: Documents, model: FakeModel
) -> None:
    documents.site.simple("/")
    documents.site.pages["/"].headers["ETag"] = '"1"'
    documents.read()
    (wanted,) = recipes(documents).values()
    pk = documents.documents()["/"]
    documents.mojodex.run("UPDATE md_document_chunk SET chunk_text = chunk_text || ' It was other text.'")
    make_stale(documents)

    job = documents.update(pk)

    assert job.state == "done"
    assert "If-None-Match" not in documents.site.headers[-1]
    assert not any("other text" in chunk for chunk in documents.text(pk))
    assert list(recipes(documents).values()) == [wanted]


def test_another_embedding_model_replaces_all_vectors_and_judges_nothing(
    documents: Documents, make_documents: Callable[..., Documents], model: FakeModel
) -> None:
    documents.site.simple("/", "/a", "/b", "/c")
    documents.read()
    texts = {path: documents.text(pk) for path, pk in documents.documents().items()}
    before = {row.document_chunk_pk for pk in documents.documents().values() for row in documents.chunks(pk)}
    judged, embedded = len(model.calls), sum(map(len, texts.values()))
    changed = replace(make_documents(embedding_model="text-embedding-3-small"), user_id=documents.user_id)
    model.embeddings.clear()

    changed.read(request="r2")

    assert {path: changed.text(pk) for path, pk in changed.documents().items()} == texts
    assert not before & {
        row.document_chunk_pk for pk in changed.documents().values() for row in changed.chunks(pk)
    }
    assert sum(len(request["input"]) for request in model.embeddings) == embedded
    assert {request["model"] for request in model.embeddings} == {"text-embedding-3-small"}
    assert len(model.calls) == judged
    assert {str(recipe).split()[1] for recipe in recipes(changed).values()} == {"text-embedding-3-small"}


def test_a_text_gets_vectors_of_another_model_without_an_edition(
    documents: Documents, make_documents: Callable[..., Documents], model: FakeModel
) -> None:
    pk = documents.text_document()
    documents.update(pk, "# Opening hours\n\nWe are open from Monday to Friday, from nine to six.")
    text, judged = documents.text(pk), len(model.calls)
    changed = replace(make_documents(embedding_model="text-embedding-3-small"), user_id=documents.user_id)
    model.embeddings.clear()

    states = [changed.update(pk).state, changed.update(pk).state]

    # The second update has nothing to do.
    assert states == ["done", "skipped"]
    assert changed.text(pk) == text
    assert [request["model"] for request in model.embeddings] == ["text-embedding-3-small"]
    assert len(model.calls) == judged
