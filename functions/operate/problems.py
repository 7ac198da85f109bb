"""Errors as problem details (RFC 9457) for callers of the API."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that ends a request and is explained to the caller.

    Args:
        status: HTTP status.
        title: the kind of problem, in constant words.
        detail: this occurrence, without a user's words.
        more: other members of the problem; `retry_after` (seconds) also becomes a header.
    """

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.more = status, title, detail, more

    @property
    def headers(self) -> dict[str, str | list[str]]:
        """The headers of the answer, whether it is JSON or HTML."""
        return {"Retry-After": str(self.more["retry_after"])} if "retry_after" in self.more else {}

    def response(self) -> Response[str]:
        """Return the answer to the request."""
        members = {"title": self.title, "status": self.status, "detail": self.detail, **self.more}
        headers = self.headers
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Mojodex Background", charset="UTF-8"'
        return Response(self.status, CONTENT_TYPE, json.dumps(members), headers)


def not_found(what: str) -> Problem:
    """Return the problem that a thing does not exist."""
    return Problem(404, "Not found", f"There is no such {what}.")


def conflict(detail: str, **more: Any) -> Problem:
    """Return the problem that the present state does not allow a change."""
    return Problem(409, "Conflict", detail, **more)
