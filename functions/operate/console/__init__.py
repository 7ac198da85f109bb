"""The console: pages for people, made on the server, and one small script that keeps them up to date."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path as InPath

from mojodex.clock import utc_now
from mojodex.schema import BackgroundJob
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
LISTED = 25
INVALID_FILTER = (
    "An unknown process or state, a date without a time zone, or a text longer than 512 characters."
)
PAGES_LISTED = 500
# A text is looked for on so many pages before somebody has to ask for more.
PAGES_SEARCHED = 25

router = Router()  # type: ignore[no-untyped-call]


# Pages.


@router.get("/console", include_in_schema=False, middlewares=[needs("read")])
def first_page() -> Response[str]:
    """Show what is going on: processes, failures, and the jobs that fit the filter."""
    given = {name: value for name in FILTERS if (value := _query(name))}
    wanted = _filter(given)
    now = utc_now()
    with environment.database.session() as session:
        found = overview.read(session, now)
        page = listing.find(session, wanted, limit=LISTED, after=_query("after") or None)
        for _ in range(PAGES_SEARCHED):
            if page.jobs or page.next is None:
                break
            page = listing.find(session, wanted, limit=LISTED, after=page.next)
        user = detail.find_user(session, wanted.user_id) if wanted.user_id else None
    return _page(
        "overview.html",
        root="",
        now=now,
        overview=found,
        failed=sum(its.counts["failed"] for its in found.processes),
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
    """Show a job, and the pages of a website."""
    key = key_of(job_id)
    with environment.database.session() as session:
        job = session.get(BackgroundJob, tuple(key))
        if job is None:
            raise not_found("job")
        audit = detail.audit_of(session, key.job_id)
        pages = []
        if key.process == "create_from_website":
            pages = list(detail.pages_of(session, key, limit=PAGES_LISTED, after=""))
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
    """Ask whether all failed jobs of a filter are to be retried, and say how many."""
    given = {name: value for name in ("process", "reason", "since") if (value := _query(name))}
    keys = environment.database.with_db_session(retry.matching, _filter(given))
    return _page("retry.html", root="../", given=given, jobs=len(keys), most=retry.MOST_AT_ONCE)


@router.get("/login", include_in_schema=False)
def login_page() -> Response[str]:
    """Ask for a name and a secret."""
    return _login_page()


# Changes. Each answers with the page that shows what came of it.


@router.post("/login", include_in_schema=False)
def login() -> Response[str]:
    """Begin a session."""
    form = _form()
    credentials = access.read_credentials(environment.settings.operate_secret_arn)
    address = router.current_event.raw_event["requestContext"]["http"]["sourceIp"]
    try:
        caller = identify(credentials, form.get("name", ""), form.get("secret", ""), address, utc_now())
    except Problem as problem:
        return _login_page(problem)
    if "read" not in caller.rights:
        return _login_page(Problem(403, "Forbidden", f"{caller.name} lacks the right read."))
    session = access.begin_session(credentials, caller, utc_now())
    return _see("console", cookies=[access.cookie(session)])


@router.post("/logout", include_in_schema=False, middlewares=[needs("read")])
def logout() -> Response[str]:
    """End the session in this browser."""
    return _see("login", cookies=[access.cookie(None)])


@router.post("/console/jobs/<job_id>/retry", include_in_schema=False, middlewares=[needs("operate")])
def retry_job(job_id: Annotated[str, InPath()]) -> Response[str]:
    """Retry a failed job."""
    return _see(f"../{retry.retry_now(key_of(job_id), caller_of(router).name).job_id}")


@router.post("/console/jobs/<job_id>/cancel", include_in_schema=False, middlewares=[needs("operate")])
def cancel_job(job_id: Annotated[str, InPath()]) -> Response[str]:
    """Cancel a job that has not ended."""
    key = key_of(job_id)
    environment.database.with_db_session(cancel, key, caller_of(router).name, utc_now())
    return _see(f"../{key.job_id}")


@router.post("/console/retry", include_in_schema=False, middlewares=[needs("operate")])
def retry_jobs() -> Response[str]:
    """Retry all failed jobs of a filter."""
    form = _form()
    if not form.get("confirm", "").isdecimal():
        raise conflict("The form does not say how many jobs to retry.")
    retry.retry_all_now(_filter(form), int(form["confirm"]), caller_of(router).name)
    return _see("../console")


@router.post("/console/users/<user_id>/lift", include_in_schema=False, middlewares=[needs("operate")])
def lift(user_id: Annotated[str, InPath()]) -> Response[str]:
    """Let an address get mail again."""
    mail_blocks.lift(user_id, caller_of(router).name)
    return _see(f"../../../console?{urlencode({'user': user_id})}")


@router.post("/console/processes/<name>/<change>", include_in_schema=False, middlewares=[needs("operate")])
def pause(name: Annotated[ProcessName, InPath()], change: Annotated[str, InPath()]) -> Response[str]:
    """Pause or resume a process."""
    if change not in ("pause", "resume"):
        raise not_found("change")
    set_paused(name, paused=change == "pause", who=caller_of(router).name, now=utc_now())
    return _see("../../../console")


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
    """Tell that there is no icon, without an error in the browser's console."""
    return Response(204, HTML, "", {"Cache-Control": "public, max-age=86400"})


def error_page(path: str, problem: Problem) -> Response[str]:
    """Return the page for an error; whoever is not known is asked who they are."""
    root = "../" * (path.count("/") - 1)
    if problem.status == 401:
        return _see(f"{root}login")
    body = render("console/error.html", root=root, problem=problem, who=None)
    return Response(problem.status, HTML, body, problem.headers)


def _page(name: str, **values: Any) -> Response[str]:
    body = render(f"console/{name}", who=caller_of(router), **values)
    return Response(200, HTML, body)


def _login_page(problem: Problem | None = None) -> Response[str]:
    body = render("console/login.html", root="", problem=problem, who=None)
    return Response(problem.status, HTML, body, problem.headers) if problem else Response(200, HTML, body)


def _see(address: str, cookies: list[Any] | None = None) -> Response[str]:
    """Send the browser to a page; the address is relative, since nobody knows what is before it."""
    return Response(303, HTML, "", {"Location": address}, cookies=cookies)


def _file(name: str, content_type: str) -> Response[str]:
    headers: dict[str, str | list[str]] = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(200, content_type, (FOLDER / "console" / name).read_text(encoding="utf-8"), headers)


def _query(name: str) -> str:
    return (router.current_event.query_string_parameters or {}).get(name, "").strip()


def _form() -> dict[str, str]:
    """Return the fields of a form, the last one of each name."""
    return access.form_of(router.current_event.raw_event)


def _filter(given: dict[str, str]) -> Filter:
    """Read a filter.

    Raises:
        Problem: 422, an unknown process or state, no date, or a text too long or with a NUL.
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
