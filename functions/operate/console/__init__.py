"""The console: pages rendered on the server, and a small script that keeps them current."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path as InPath

from mojodex.clock import utc_now
from operate import access, environment, mail_blocks, overview
from operate.access import caller_of, needs
from operate.identify import identify
from operate.jobs import detail, listing, retry
from operate.jobs.cancel import cancel
from operate.jobs.job_id import PROCESSES, ProcessName, key_of
from operate.jobs.listing import STATES, Filter
from operate.pages import FOLDER, HTML, render
from operate.pausing import set_paused
from operate.problems import Problem, conflict, not_found

FILTERS = ("process", "state", "user", "reason", "url")
JOBS_LISTED = 25
INVALID_FILTER = (
    "The filter has an unknown process or state, a date without a time zone, or more than 512 characters."
)
WEB_PAGES_LISTED = 500
# A request searches this many more pages of the job list if no job matches.
PAGES_SEARCHED = 25

router = Router()  # type: ignore[no-untyped-call]


# Pages.


@router.get("/console", include_in_schema=False, middlewares=[needs("read")])
def first_page() -> Response[str]:
    """Show processes, failures, and the jobs that match the filter."""
    given = {name: value for name in FILTERS if (value := _query(name))}
    wanted = _filter(given)
    now = utc_now()
    with environment.database.session() as session:
        found = overview.read(session, now)
        page = listing.find(session, wanted, limit=JOBS_LISTED, after=_query("after") or None)
        for _ in range(PAGES_SEARCHED):
            if page.jobs or page.next is None:
                break
            page = listing.find(session, wanted, limit=JOBS_LISTED, after=page.next)
        user = detail.find_user(session, wanted.user_id) if wanted.user_id else None
    return _page(
        "overview.html",
        root="",
        now=now,
        overview=found,
        failed=sum(process.counts["failed"] for process in found.processes),
        page=page,
        user=user,
        given=given,
        processes=PROCESSES,
        states=STATES,
        counted_done=overview.COUNTED_DONE,
        next_query=urlencode({**given, "after": page.next}) if page.next else None,
    )


@router.get("/console/jobs/<job_id>", include_in_schema=False, middlewares=[needs("read")])
def job_page(job_id: Annotated[str, InPath()]) -> Response[str]:
    """Show a job and, if it is a website's, its pages."""
    key = key_of(job_id)
    with environment.database.session() as session:
        job = detail.find_job(session, key)
        audit = detail.audit_of(session, key.job_id)
        pages = []
        if key.process == "create_from_website":
            pages = list(detail.pages_of(session, key, limit=WEB_PAGES_LISTED, after=""))
    outcome = job.outcome or {}
    retried_as = key._replace(occasion=outcome["retried_as"]).job_id if "retried_as" in outcome else None
    shown = outcome if "read-content" in caller_of(router).rights else detail.without_words(outcome)
    return _page(
        "job.html",
        root="../../",
        now=utc_now(),
        job=job,
        job_id=key.job_id,
        outcome=shown,
        attempts=detail.attempts(job),
        usd=detail.usd(job.spent),
        why_not=retry.why_not(job),
        retried_as=retried_as,
        pages=pages,
        audit=audit,
    )


@router.get("/console/retry", include_in_schema=False, middlewares=[needs("operate")])
def confirm_retry() -> Response[str]:
    """Show how many failed jobs match a filter, and ask to confirm their retry."""
    given = {name: value for name in ("process", "reason", "since") if (value := _query(name))}
    keys = environment.database.with_db_session(retry.matching, _filter(given))
    return _page("retry.html", root="../", given=given, jobs=len(keys), most=retry.MOST_AT_ONCE)


@router.get("/login", include_in_schema=False)
def login_page() -> Response[str]:
    """Show the login form."""
    return _login_page()


# Changes. Each redirects to the page that shows the result.


@router.post("/login", include_in_schema=False)
def login() -> Response[str]:
    """Begin a session."""
    form = access.form_of(router.current_event.raw_event)
    credentials = access.read_credentials(environment.settings.operate_secret_arn)
    address = router.current_event.raw_event["requestContext"]["http"]["sourceIp"]
    try:
        caller = identify(credentials, form.get("name", ""), form.get("secret", ""), address, utc_now())
    except Problem as problem:
        return _login_page(problem)
    if "read" not in caller.rights:
        return _login_page(Problem(403, "Forbidden", f"{caller.name} lacks the right read."))
    session = access.begin_session(credentials, caller, utc_now())
    return _redirect("console", cookies=[access.cookie(session)])


@router.post("/logout", include_in_schema=False, middlewares=[needs("read")])
def logout() -> Response[str]:
    """End the session in this browser."""
    return _redirect("login", cookies=[access.cookie(None)])


@router.post("/console/jobs/<job_id>/retry", include_in_schema=False, middlewares=[needs("operate")])
def retry_job(job_id: Annotated[str, InPath()]) -> Response[str]:
    """Retry a failed job."""
    return _redirect(f"../{retry.retry_now(key_of(job_id), caller_of(router).name).job_id}")


@router.post("/console/jobs/<job_id>/cancel", include_in_schema=False, middlewares=[needs("operate")])
def cancel_job(job_id: Annotated[str, InPath()]) -> Response[str]:
    """Cancel a job that has not ended."""
    key = key_of(job_id)
    environment.database.with_db_session(cancel, key, caller_of(router).name, utc_now())
    return _redirect(f"../{key.job_id}")


@router.post("/console/retry", include_in_schema=False, middlewares=[needs("operate")])
def retry_jobs() -> Response[str]:
    """Retry all failed jobs that match a filter."""
    form = access.form_of(router.current_event.raw_event)
    if not form.get("confirm", "").isdecimal():
        raise conflict("The form does not say how many jobs to retry.")
    retry.retry_all_now(_filter(form), int(form["confirm"]), caller_of(router).name)
    return _redirect("../console")


@router.post("/console/users/<user_id>/lift", include_in_schema=False, middlewares=[needs("operate")])
def lift(user_id: Annotated[str, InPath()]) -> Response[str]:
    """Lift the block of a user's address."""
    mail_blocks.lift(user_id, caller_of(router).name)
    return _redirect(f"../../../console?{urlencode({'user': user_id})}")


@router.post("/console/processes/<name>/<change>", include_in_schema=False, middlewares=[needs("operate")])
def pause(name: Annotated[ProcessName, InPath()], change: Annotated[str, InPath()]) -> Response[str]:
    """Pause or resume a process."""
    if change not in ("pause", "resume"):
        raise not_found("change")
    set_paused(name, paused=change == "pause", who=caller_of(router).name, now=utc_now())
    return _redirect("../../../console")


# Files.


@router.get("/console.css", include_in_schema=False)
def style() -> Response[str]:
    """Return the style sheet."""
    return _file("console.css", "text/css; charset=utf-8")


@router.get("/console.js", include_in_schema=False)
def script() -> Response[str]:
    """Return the script."""
    return _file("console.js", "text/javascript; charset=utf-8")


@router.get("/favicon.ico", include_in_schema=False)
def icon() -> Response[str]:
    """Answer without an icon, so that the browser's console shows no error."""
    return Response(204, HTML, "", {"Cache-Control": "public, max-age=86400"})


def error_page(path: str, problem: Problem) -> Response[str]:
    """Return the page for an error, or the login for a caller without a session."""
    root = "../" * (path.count("/") - 1)
    if problem.status == 401:
        return _redirect(f"{root}login")
    body = render("console/error.html", root=root, problem=problem, who=None)
    return Response(problem.status, HTML, body, problem.headers)


def _page(name: str, **values: Any) -> Response[str]:
    body = render(f"console/{name}", who=caller_of(router), **values)
    return Response(200, HTML, body)


def _login_page(problem: Problem | None = None) -> Response[str]:
    body = render("console/login.html", root="", problem=problem, who=None)
    return Response(problem.status, HTML, body, problem.headers) if problem else Response(200, HTML, body)


def _redirect(address: str, cookies: list[Any] | None = None) -> Response[str]:
    """Redirect the browser. The address is relative, because the API's base path is not known."""
    return Response(303, HTML, "", {"Location": address}, cookies=cookies)


def _file(name: str, content_type: str) -> Response[str]:
    headers: dict[str, str | list[str]] = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(200, content_type, (FOLDER / "console" / name).read_text(encoding="utf-8"), headers)


def _query(name: str) -> str:
    return (router.current_event.query_string_parameters or {}).get(name, "").strip()


def _filter(given: dict[str, str]) -> Filter:
    """Return the filter in a query or form.

    Raises:
        Problem: 422, an unknown process or state, an invalid date, or a text that is too long or has a NUL.
    """
    since = None
    try:
        if given.get("since"):
            since = listing.in_utc(datetime.fromisoformat(given["since"]))
        valid = True
    except ValueError:
        valid = False
    if (
        not valid
        or given.get("process", PROCESSES[0]) not in PROCESSES
        or given.get("state", STATES[0]) not in STATES
        or any("\0" in value or len(value) > 512 for value in given.values())
    ):
        raise Problem(422, "Invalid request", INVALID_FILTER)
    return Filter(
        process=given.get("process"),
        state=given.get("state"),
        user_id=given.get("user"),
        since=since,
        reason=given.get("reason"),
        url=given.get("url"),
    )
