"""What pydantic says about invalid data, in one line."""

from collections.abc import Callable

from pydantic import ValidationError


def error_summary(error: ValidationError, whole: str, name: Callable[[str], str] = str) -> str:
    """Name each invalid field and why, without the input, which may hold anything.

    Args:
        error: from a model's validation.
        whole: stands for the field's name when the input as a whole is invalid.
        name: makes a field's name of its path with dots.
    """
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{name('.'.join(map(str, e['loc']))) or whole}: {e['msg']}" for e in found)
