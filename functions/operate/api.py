"""The API's handler: authenticate, resolve the route, answer errors, and set security headers."""

import json
from collections.abc import Callable
from datetime import datetime
from traceback import format_tb
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from mojodex.clock import utc_now
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.observability import logger
from mojodex.secrets import read_secret
from mojodex.unsubscribing import signing_keys
from operate import access, console, environment, front_door, unsubscribe
from operate.access import Caller, needs
from operate.identify import identify
from operate.jobs import routes
from operate.pages import HTML
from operate.problems import Problem, not_found

# SQS takes messages up to 1 MiB. The body's edition is nearly all of its message.
LARGEST_BODY_BYTES = 1_000_000
# Accepted content types. Mojodex's routes check their own.
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
# Paths that need no credential.
PUBLIC = {"/", "/healthz", "/login", "/console.css", "/console.js", "/favicon.ico", "/unsubscribe"}
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
for router in (front_door.router, routes.router, console.router):
    app.include_router(router)


@app.get("/openapi.json", include_in_schema=False, middlewares=[needs("read")])
def openapi() -> Response[str]:
    """Describe this API."""
    description = app.get_openapi_json_schema(title="Mojodex Background", version="1")
    return Response(200, "application/json", description)


@app.get("/unsubscribe", include_in_schema=False)
def unsubscribe_page() -> Response[str]:
    """Show the page behind a mail's link. Changes nothing."""
    return _unsubscribe(unsubscribe.page)


@app.post("/unsubscribe", include_in_schema=False)
def submit_unsubscribe() -> Response[str]:
    """End the user's mails, or start them again."""
    body = access.body_of(app.current_event.raw_event)
    return _unsubscribe(lambda token, *rest: unsubscribe.submit(token, body, *rest))


def _unsubscribe(answer: Callable[[str, Database, list[str]], unsubscribe.Page]) -> Response[str]:
    arn = environment.settings.unsubscribe_secret_arn
    if arn is None:
        raise not_found("page")
    token = (app.current_event.query_string_parameters or {}).get("token", "")
    status, html = answer(token, environment.database, signing_keys(read_secret(arn)))
    # No referrer, because the address holds the token.
    return Response(status, HTML, html, {"Referrer-Policy": "no-referrer"})


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
    except Exception as error:
        answer = _refuse(event, _unknown(error))
    headers = answer.setdefault("headers", {})
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
    # An open page polls, which must not keep a session alive.
    polls = "x-live" in event.get("headers", {})
    # Logging out sets the cookie itself.
    if caller and caller.session and caller.session.renewed and not polls and not answer.get("cookies"):
        answer["cookies"] = [str(access.cookie(caller.session.renewed))]
    return answer


def _admit(event: dict[str, Any], now: datetime) -> Caller | None:
    """Check a request and return its caller; None for a public path.

    Raises:
        Problem: 400, 401, 403, 413, 415, 429.
        TransientError: credentials cannot be checked now.
    """
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    request = event["requestContext"]["http"]
    path, changes = event.get("rawPath", "/"), request["method"] not in ("GET", "HEAD")
    if len((event.get("body") or "").encode("utf-8", "replace")) > LARGEST_BODY_BYTES:
        raise Problem(413, "Content too large", f"The body may have at most {LARGEST_BODY_BYTES} bytes.")
    # Mail clients post to it from other origins (RFC 8058).
    if changes and path != "/unsubscribe":
        access.check_same_origin(headers)
    if path in PUBLIC:
        return None
    credentials = access.read_credentials(environment.settings.operate_secret_arn)
    if "authorization" in headers:
        name, secret = access.basic(headers["authorization"])
        caller = identify(credentials, name, secret, request["sourceIp"], now)
    else:
        caller = _caller_of_session(credentials, event, headers, now)
        if changes:
            token = headers.get("x-csrf-token") or access.form_of(event).get("csrf", "")
            access.check_csrf(credentials, caller.session, token)
    if event.get("body") and path not in front_door.PATHS:
        _check_body(access.body_of(event), headers.get("content-type", JSON))
    return caller


def _caller_of_session(
    credentials: access.Credentials, event: dict[str, Any], headers: dict[str, str], now: datetime
) -> Caller:
    """Return the caller whose session cookie a request has.

    Raises:
        Problem: 401, it has no valid session.
    """
    caller = None
    # API Gateway moves cookies out of the headers; the local emulator does not.
    for cookie in event.get("cookies") or headers.get("cookie", "").split(";"):
        # Strip only spaces. Browsers let another site of the domain set a cookie whose name begins with, say,
        # a tab and then `__Host-`.
        name, _, value = cookie.strip(" ").partition("=")
        if name == access.COOKIE:
            caller = access.read_session(credentials, value, now)
    if caller is None:
        raise Problem(401, "Unauthorized", "Send a name and a secret as HTTP Basic.")
    return caller


def _check_body(body: str, content_type: str) -> None:
    """Check that a body can be parsed.

    Raises:
        Problem: 400, it is not JSON; 415, it is neither JSON nor a form.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (JSON, FORM):
        raise Problem(415, "Unsupported media type", f"The body must be {JSON} or {FORM}.")
    if kind == JSON:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            raise Problem(400, "Bad request", "The body is not JSON.") from None


@app.exception_handler([Problem, TransientError])  # type: ignore[untyped-decorator]
def _known_error(error: Problem | TransientError) -> Response[str]:
    return _response(app.current_event.path, error)


@app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
def _not_valid(error: RequestValidationError) -> Response[str]:
    found = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _response(app.current_event.path, Problem(422, "Invalid request", found))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def _unknown_error(error: Exception) -> Response[str]:
    return _response(app.current_event.path, _unknown(error))


@app.not_found
def _no_route(_error: NotFoundError) -> Response[str]:
    return _response(app.current_event.path, not_found("address"))


def _unknown(error: Exception) -> Problem:
    """Log an unexpected error and return the problem to answer with."""
    # Without the error's text, which may quote a user's words.
    where = {"error": type(error).__name__, "where": format_tb(error.__traceback__)}
    logger.error("unknown error", extra=where)
    return Problem(500, "Internal error", "The function's log has the details.")


def _refuse(event: dict[str, Any], error: Problem | TransientError) -> dict[str, Any]:
    """Return the handler's answer to a request that failed outside of its route."""
    response = _response(event.get("rawPath", "/"), error)
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers) | {"Content-Type": response.content_type or ""},
        "body": response.body,
        "isBase64Encoded": False,
    }


def _response(path: str, error: Problem | TransientError) -> Response[str]:
    """Return the answer to an error: a console page, `error` for a Mojodex backend, or a problem."""
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
