"""The recipe by which a page became its document. A document of another recipe is stale."""

import hashlib

from documents.text.reader import Boilerplate

# Raise it with each change of a page's chunks: content, cuts or paths. tests/unit/test_recipe.py notices.
VERSION = 1


def recipe_of(embedding_model: str, boilerplate: Boilerplate) -> str:
    """Return the version of the text code, the embedding model, and a hash of the boilerplate.

    Args:
        embedding_model: its name.
        boilerplate: of the page's site; empty for a user's text.
    """
    repeats = f"{boilerplate.is_kept} {sorted(boilerplate.hashes)}"
    return f"{VERSION} {embedding_model} {hashlib.blake2b(repeats.encode(), digest_size=8).hexdigest()}"


def model_of(recipe: str | None) -> str | None:
    """Return the embedding model of a recipe; None without a recipe."""
    return recipe.split(" ")[1] if recipe else None
