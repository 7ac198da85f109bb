"""What pydantic finds wrong, in one line."""

from collections.abc import Callable

from pydantic import ValidationError


def what_is_wrong(error: ValidationError, whole: str, name: Callable[[str], str] = str) -> str:
    """Each wrong field and why, without what was given, which may hold anything.

    Args:
        error: of a model's validation.
        whole: what is said for a field's name when all of it is wrong.
        name: what a field is called, by its path with dots.
    """
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{name('.'.join(map(str, e['loc']))) or whole}: {e['msg']}" for e in found)
