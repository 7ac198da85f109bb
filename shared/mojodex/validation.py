"""Summarize pydantic's validation errors in one line."""

from collections.abc import Callable

from pydantic import ValidationError


def error_summary(error: ValidationError, whole: str, name: Callable[[str], str] = str) -> str:
    """Return each invalid field with its error, without the input, which may hold anything.

    Args:
        error: from a model's validation.
        whole: name to use when the input as a whole is invalid.
        name: converts a field's path with dots into its name.
    """
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{name('.'.join(map(str, e['loc']))) or whole}: {e['msg']}" for e in found)
