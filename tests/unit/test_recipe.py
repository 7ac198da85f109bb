"""The version of the recipe must be raised with each change of the chunks of pages."""

import hashlib

from bench.extraction import load_all
from bench.sites import load_sites
from documents.recipe import VERSION, model_of, recipe_of
from documents.text.child import read_text
from documents.text.reader import Boilerplate

# If this test fails, the chunks of pages have changed: raise VERSION and add the new digest.
CHUNKS_OF_VERSION = {1: "7438d0dc8be7c4a8"}


def digest() -> str:
    """Hash the chunks of all pages of bench/pages and bench/sites."""
    pages = [page.html for page in load_all()]
    pages += [html.encode() for site in load_sites() for html in site.pages.values()]
    found = hashlib.sha256()
    for html in pages:
        for chunk in read_text(html, "utf-8", (), True)["chunks"]:
            found.update(chunk.encode())
    return found.hexdigest()[:16]


def test_a_version_always_makes_the_same_chunks() -> None:
    assert {VERSION: digest()} == CHUNKS_OF_VERSION


def test_a_recipe_depends_on_the_model_and_the_boilerplate() -> None:
    recipe = recipe_of("a-model", Boilerplate(frozenset({2, 4})))

    assert model_of(recipe) == "a-model"
    assert model_of(None) is None
    others = (
        recipe_of("another-model", Boilerplate(frozenset({2, 4}))),
        recipe_of("a-model", Boilerplate(frozenset({2}))),
        recipe_of("a-model", Boilerplate(frozenset({2, 4}), is_kept=True)),
    )
    assert recipe not in others
    assert recipe == recipe_of("a-model", Boilerplate(frozenset({4, 2})))
