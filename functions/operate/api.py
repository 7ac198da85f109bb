"""The handler of the API: authenticate, resolve the route, answer errors, and secure each answer."""

import json
from datetime import datetime
from traceback import format_tb
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from mojodex.clock import utc_now
from mojodex.errors import TransientError
from mojodex.observability import count, logger
from operate import access, console, environment, front_door, jobs_api
from operate.access import Caller, needs
from operate.identify import identify
from operate.problems import Problem

# SQS takes messages up to 1 MiB, and what an edition needs around it is little.
LARGEST_BODY_BYTES = 1_000_000
# Whoever knows their addresses may have them.
PUBLIC = {"/", "/healthz", "/login", "/console.css", "/console.js", "/favicon.ico"}
SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

app = APIGatewayHttpResolver(enable_validation=True)
for router in (front_door.router, jobs_api.router, console.router):
    app.include_router(router)


@app.get("/openapi.json", include_in_schema=False, middlewares=[needs("read")])
def openapi() -> Response[str]:
    """Describe this API."""
    description = app.get_openapi_json_schema(title="Mojodex Background", version="1")
    return Response(200, "application/json", description)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (HTTP API, payload format 2.0)."""
    caller: Caller | None = None
    try:
        caller = _admit(event, utc_now())
        app.append_context(caller=caller)  # type: ignore[no-untyped-call]
        answer = app.resolve(event, context)
    except (Problem, TransientError) as error:
        answer = _refuse(event, error)
    if answer["statusCode"] >= 500:
        count("ApiErrors")
    headers = answer.setdefault("headers", {})
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
    # What a page does by itself does not keep a session alive.
    by_itself = "x-live" in event.get("headers", {})
    if caller and caller.session and caller.session.renewed and not by_itself:
        answer.setdefault("cookies", []).append(str(access.cookie(caller.session.renewed)))
    return answer


def _admit(event: dict[str, Any], now: datetime) -> Caller | None:
    """Find out who sends a request; None if nobody need be known.

    Raises:
        Problem: 401, 403, 413, 429.
        TransientError: credentials cannot be checked now.
    """
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    request = event["requestContext"]["http"]
    path, changes = event.get("rawPath", "/"), request["method"] not in ("GET", "HEAD")
    if len(event.get("body") or "") > LARGEST_BODY_BYTES:
        raise Problem(413, "Content too large", f"A body has {LARGEST_BODY_BYTES} bytes at most.")
    if changes:
        access.check_same_origin(headers)
    if path in PUBLIC:
        return None
    credentials = access.read_credentials(environment.settings.operate_secret_arn)
    if "authorization" in headers:
        name, secret = access.basic(headers["authorization"])
        return identify(credentials, name, secret, request["sourceIp"], now)
    caller = None
    # API Gateway takes cookies out of the headers; the local emulator does not.
    for cookie in event.get("cookies") or headers.get("cookie", "").split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == access.COOKIE:
            caller = access.read_session(credentials, value, now)
    if caller is None or caller.session is None:
        raise Problem(401, "Unauthorized", "Send a name and a secret, as HTTP Basic.")
    if changes:
        token = headers.get("x-csrf-token") or access.form_of(event).get("csrf", "")
        access.check_csrf(credentials, caller.session, token)
    return caller


@app.exception_handler([Problem, TransientError])  # type: ignore[untyped-decorator]
def _known_error(error: Problem | TransientError) -> Response[str]:
    return _response(app.current_event.path, error)


@app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
def _not_valid(error: RequestValidationError) -> Response[str]:
    found = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _response(app.current_event.path, Problem(422, "Invalid request", found))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def _unknown_error(error: Exception) -> Response[str]:
    # The error's own text is left out: it may quote a user's words.
    where = {"error": type(error).__name__, "where": format_tb(error.__traceback__)}
    logger.error("unknown error", extra=where)
    return _response(app.current_event.path, Problem(500, "Internal error", "The log says more."))


@app.not_found
def _no_route(_error: NotFoundError) -> Response[str]:
    return _response(app.current_event.path, Problem(404, "Not found", "There is no such address."))


def _refuse(event: dict[str, Any], error: Problem | TransientError) -> dict[str, Any]:
    """Answer a request that no route has seen."""
    response = _response(event.get("rawPath", "/"), error)
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers) | {"Content-Type": response.content_type or ""},
        "body": response.body,
        "isBase64Encoded": False,
    }


def _response(path: str, error: Problem | TransientError) -> Response[str]:
    """Make the answer to an error: a page for a browser, `error` for a Mojodex backend, else a problem."""
    if isinstance(error, TransientError):
        logger.warning("request cannot be served now", extra={"reason": str(error)})
        error = Problem(503, "Not available", str(error), retry_after=int(error.retry_after or 5))
    if path in front_door.PATHS:
        response = error.response()
        response.body = json.dumps({"error": error.detail})
        response.headers["Content-Type"] = response.content_type = "application/json"
        return response
    if path == "/console" or path.startswith("/console/"):
        return console.error_page(path, error)
    return error.response()
