"""How a document is made of its page: once the recipe has changed, a document is stale."""

import hashlib

from documents.text.reader import Boilerplate

# To be raised with whatever changes the chunks of a page: what is text, how it is cut, what stands before it.
# tests/unit/test_recipe.py notices.
VERSION = 1


def recipe_of(embedding_model: str, boilerplate: Boilerplate) -> str:
    """Return the version of text and chunks, the model of the vectors, and a hash of what repeats.

    Args:
        embedding_model: its name.
        boilerplate: of the page's site; an empty one for a text of the user.
    """
    repeats = f"{boilerplate.is_kept} {sorted(boilerplate.hashes)}"
    return f"{VERSION} {embedding_model} {hashlib.blake2b(repeats.encode(), digest_size=8).hexdigest()}"


def model_of(recipe: str | None) -> str | None:
    """Return the name of the model that a recipe names; None without a recipe."""
    return recipe.split(" ")[1] if recipe else None
