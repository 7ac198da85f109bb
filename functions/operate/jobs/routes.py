"""The jobs API: show jobs, websites and a user's activity; retry, cancel, pause, lift mail blocks."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import text

from mojodex.clock import utc_now
from operate import environment, mail_blocks
from operate.access import caller_of, needs
from operate.jobs import detail, listing, retry
from operate.jobs.cancel import cancel
from operate.jobs.job_id import ProcessName, key_of
from operate.jobs.listing import Filter, State
from operate.pausing import set_paused
from operate.problems import not_found

router = Router()  # type: ignore[no-untyped-call]
Words = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Moment = Annotated[AwareDatetime, AfterValidator(listing.in_utc)]
Cursor = Annotated[str, Field(max_length=6000, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]
HEALTHY = text("SELECT 1")


class Job(BaseModel):
    """A job, without any user's words."""

    id: str
    process: ProcessName
    subject: str = Field(description="What it is about: a key, or a user and a website")
    occasion: str = Field(description="Empty, a local date, or the id of a request")
    state: State
    user_id: str | None
    attempts: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None = Field(description="Why it failed or was skipped")
    usd: float = Field(description="Price of its model calls, in USD")


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next: str | None = Field(description="`after` for the next page. An empty page can have one")
    looked_back_to: datetime | None = Field(description="How far back this page searched")


class Attempt(BaseModel):
    """One attempt of a job."""

    started: datetime | None = Field(description="Null if the job was cancelled before it began")
    ended: datetime | None = None
    error: str | None = Field(None, description="Class of the error")
    reason: str | None = None
    counted: bool | None = Field(None, description="Whether it counts towards the limit of attempts")


class Audit(BaseModel):
    """A change that an operator made."""

    at: datetime
    who: str
    action: str


class JobDetail(Job):
    """A job in full."""

    outcome: dict[str, Any] | None = Field(description="Texts are withheld without the right read-content")
    history: list[Attempt]
    spent: list[dict[str, Any]] = Field(description="Calls, tokens and price, by model and service tier")
    audit: list[Audit]


class Website(Job):
    """A request for a website, with its progress and pages."""

    progress: dict[str, Any]
    pages: list[dict[str, Any]]
    next: str | None


class Activity(BaseModel):
    """The bundle's work for a user."""

    user_id: str
    todo_email_reception: bool
    mail_paused_at: datetime | None = Field(description="When the mail paused, until a sign of life")
    mail_block: dict[str, Any] | None = Field(description="Why the current address gets no mail")
    mails: list[dict[str, Any]] = Field(description="The last mails, with their delivery status")
    websites: list[dict[str, Any]]
    jobs: list[Job]
    next: str | None


class RetryFilter(BaseModel):
    """A filter of failed jobs to retry. Without `confirm`, the answer only counts them."""

    model_config = ConfigDict(extra="forbid")
    process: ProcessName | None = None
    user: Words | None = None
    since: Moment | None = None
    reason: Words | None = None
    confirm: int | None = Field(None, ge=0, description="The number that the answer without it has")


class Retried(BaseModel):
    """How many jobs match a filter, and how many are queued again."""

    matching: int
    retried: int


class Paused(BaseModel):
    """Whether a process is paused."""

    process: ProcessName
    paused: bool


@router.get("/healthz", summary="Check that the API and its database answer")
def healthz() -> dict[str, str]:
    with environment.database.session() as session:
        session.execute(HEALTHY)
    return {"status": "ok"}


@router.get("/jobs", summary="Find jobs, newest first", middlewares=[needs("read")])
def jobs(
    process: Annotated[ProcessName | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    user: Annotated[Words | None, Query(description="user_id")] = None,
    subject: Annotated[Words | None, Query(description="exact subject")] = None,
    since: Annotated[Moment | None, Query(description="queued or ended then or later")] = None,
    reason: Annotated[Words | None, Query(description="part of the reason")] = None,
    url: Annotated[Words | None, Query(description="part of a website's address")] = None,
    limit: Limit = 50,
    after: Annotated[Cursor | None, Query(description="`next` of the previous page")] = None,
) -> JobPage:
    wanted = Filter(
        process=process, state=state, user_id=user, subject=subject, since=since, reason=reason, url=url
    )
    page = environment.database.with_db_session(listing.find, wanted, limit=limit, after=after)
    return _job_page(page)


@router.get("/jobs/<job_id>", summary="Show a job in full", middlewares=[needs("read")])
def job(job_id: Annotated[str, Path()]) -> JobDetail:
    key = key_of(job_id)
    with environment.database.session() as session:
        found = detail.find_job(session, key)
        audit = detail.audit_of(session, key.job_id)
    outcome = found.outcome
    if outcome is not None and "read-content" not in caller_of(router).rights:
        outcome = detail.without_words(outcome)
    return JobDetail(
        **_job(found, (found.outcome or {}).get("reason")).model_dump(),
        outcome=outcome,
        history=[Attempt.model_validate(attempt) for attempt in detail.attempts(found)],
        spent=found.spent or [],
        audit=[Audit(at=line.at, who=line.who, action=line.action) for line in audit],
    )


@router.post("/jobs/<job_id>/retry", summary="Retry a failed job", middlewares=[needs("operate")])
def retry_job(job_id: Annotated[str, Path()]) -> tuple[dict[str, str], int]:
    queued = retry.retry_now(key_of(job_id), caller_of(router).name)
    return {"id": queued.job_id, "state": "queued"}, HTTPStatus.ACCEPTED


@router.post(
    "/jobs/<job_id>/cancel", summary="Cancel a job that has not ended", middlewares=[needs("operate")]
)
def cancel_job(job_id: Annotated[str, Path()]) -> dict[str, str]:
    key = key_of(job_id)
    environment.database.with_db_session(cancel, key, caller_of(router).name, utc_now())
    return {"id": key.job_id, "state": "failed"}


@router.post(
    "/jobs/retry", summary="Retry all failed jobs that match a filter", middlewares=[needs("operate")]
)
def retry_jobs(wanted: Annotated[RetryFilter, Body()]) -> tuple[Retried, int]:
    which = Filter(
        process=wanted.process,
        state="failed",
        user_id=wanted.user,
        since=wanted.since,
        reason=wanted.reason,
    )
    if wanted.confirm is None:
        matching = len(environment.database.with_db_session(retry.matching, which))
        return Retried(matching=matching, retried=0), HTTPStatus.OK
    retried = retry.retry_all_now(which, wanted.confirm, caller_of(router).name)
    return Retried(matching=wanted.confirm, retried=retried), HTTPStatus.ACCEPTED


@router.get("/websites/<job_id>", summary="Show a website's progress and pages", middlewares=[needs("read")])
def website(
    job_id: Annotated[str, Path(description="of a job of create_from_website")],
    limit: Limit = 200,
    after: Annotated[Cursor, Query(description="`next` of the previous page")] = "",
) -> Website:
    key = key_of(job_id)
    if key.process != "create_from_website":
        raise not_found("website")
    with environment.database.session() as session:
        found = detail.find_job(session, key, "website")
        pages = detail.pages_of(session, key, limit=limit + 1, after=after)
    shown = [
        {name: value for name, value in page._mapping.items() if name != "key"} for page in pages[:limit]
    ]
    return Website(
        **_job(found, (found.outcome or {}).get("reason")).model_dump(),
        progress=detail.without_words(found.outcome or {}),
        pages=shown,
        next=pages[limit - 1].key if len(pages) > limit else None,
    )


@router.get(
    "/users/<user_id>/activity", summary="Show a user's jobs, websites and mails", middlewares=[needs("read")]
)
def activity(user_id: Annotated[str, Path()], limit: Limit = 50, after: Cursor | None = None) -> Activity:
    with environment.database.session() as session:
        user = detail.find_user(session, user_id)
        if user is None:
            raise not_found("user")
        page = listing.find(session, Filter(user_id=user_id), limit=limit, after=after)
    return Activity(user_id=user_id, **user, **_job_page(page).model_dump(include={"jobs", "next"}))


@router.delete(
    "/users/<user_id>/mail-block", summary="Let an address get mail again", middlewares=[needs("operate")]
)
def lift_mail_block(user_id: Annotated[str, Path()]) -> dict[str, str]:
    mail_blocks.lift(user_id, caller_of(router).name)
    return {"user_id": user_id}


@router.post("/processes/<name>/pause", summary="Pause a process", middlewares=[needs("operate")])
def pause(name: Annotated[ProcessName, Path()]) -> Paused:
    return _set_paused(name, paused=True)


@router.post("/processes/<name>/resume", summary="Resume a process", middlewares=[needs("operate")])
def resume(name: Annotated[ProcessName, Path()]) -> Paused:
    return _set_paused(name, paused=False)


def _set_paused(name: ProcessName, *, paused: bool) -> Paused:
    set_paused(name, paused=paused, who=caller_of(router).name, now=utc_now())
    return Paused(process=name, paused=paused)


def _job_page(page: listing.Page) -> JobPage:
    return JobPage(
        jobs=[_job(row, row.reason) for row in page.jobs], next=page.next, looked_back_to=page.looked_back_to
    )


def _job(row: Any, reason: str | None) -> Job:
    """Describe a row of the list, or of the ledger."""
    return Job(
        id=listing.key_of_row(row).job_id,
        process=row.process,
        subject=row.subject,
        occasion=row.occasion,
        state=row.state,
        user_id=row.user_id,
        attempts=row.attempts,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        reason=reason,
        usd=detail.usd(row.spent),
    )
