"""The promises that must hold after a run.

Each check reads plain data and yields one line for each job that breaks it. Checks of `chaos.checks` are
reused where they fit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from chaos import checks as chaos_checks
from chaos import facts
from chaos.checks import MAILS_AT_ONCE, NOT_CHANGED, REFUSES, SUPERSEDED, Found, Job, Wanted, mail_job
from mojodex.clock import is_working_day, start_of_day
from simulation import conduct, recovery
from simulation.plan import START, User
from simulation.sites import marker, paths
from simulation.world import Run, World, dead_letters, end_of

# The user's night ends at six, the hours of the daily mail at eleven (template.yaml).
NIGHT_ENDS, MAIL_ENDS = 6, 11
# By then the document of a removed page is deleted: two refreshes a day apart, plus an outage of 72 hours.
GONE_SECONDS = timedelta(days=6).total_seconds()
PAGE_GONE = "the page cannot be fetched: the page answers 404"
# The reason of a job whose mail SES may have accepted: it is not sent a second time.
UNKNOWN = "it is not known whether"
# The reasons of a mail job that was skipped, for instance because its day has passed.
DAY_PASSED = ("where the user is", "there is nothing to tell", "the user does not want it")
HISTORY = """
    SELECT process, subject, occasion, state, attempts, reason, extract(epoch FROM at)::float8 AS at
    FROM simulation.history ORDER BY number
"""
SCHEDULINGS = """
    SELECT todo_pk, description, user_task_execution_fk AS execution, completed IS NOT NULL AS completed,
        scheduled_date, scheduling.creation_date, reschedule_justification IS NOT NULL AS moved, user_id
    FROM md_todo AS todo
    JOIN md_todo_scheduling AS scheduling ON todo_fk = todo_pk
    JOIN md_user_task_execution ON user_task_execution_pk = user_task_execution_fk
    JOIN md_user_task ON user_task_pk = user_task_fk
    ORDER BY todo_pk, scheduling.creation_date, todo_scheduling_pk
"""
EVENTS = "SELECT user_id, creation_date FROM md_event"
MAILS = "SELECT * FROM md_background_mail"
BLOCKS = "SELECT user_id, kind FROM md_background_mail_block"
DOCUMENTS = """
    SELECT author_user_id AS user_id, name, index AS place, chunk_text
    FROM md_document LEFT JOIN md_document_chunk ON document_fk = document_pk
    WHERE NOT deleted_by_user ORDER BY author_user_id, name, index
"""


@dataclass(frozen=True)
class Scheduling:
    """One date of a to-do, oldest first. `moved` tells whether it is a move."""

    todo_pk: int
    description: str
    execution: int
    completed: bool
    scheduled_date: date
    created: datetime
    moved: bool
    user_id: str


@dataclass(frozen=True)
class Facts:
    """The facts that are known after a run.

    Attributes:
        wanted, found: the facts that the checks of chaos read.
        history: each change of each job, oldest first: the moment (seconds since 1970) and the job.
        schedulings: all dates of all to-dos.
        users: by id.
        refused: whether the model refuses a subject; for a move, the to-do's description is the subject.
        mail_days: user and local day of each mail that SES accepted.
        unknown: how many mails may have been sent without an answer, for instance by a worker that died.
        documents: the chunks' texts by user and name, in order; None stands for no chunk.
        editions: the oldest edition that each document may hold.
        gone: addresses of removed pages, each with the moment (seconds since 1970).
        ends: when the run ended (aware).
        requests: process, subject and occasion of the jobs that were requested without a day.
        expired: bodies of messages that SQS dropped.
        conduct: the findings of `conduct.broken` and `recovery.broken`.
        reported: for each mail's id, the columns that SES's events must have set.
        mails: for each mail's id, the columns that are set.
        blocks: the mail blocks.
    """

    wanted: Wanted
    found: Found
    history: list[tuple[float, Job]]
    schedulings: list[Scheduling]
    users: Mapping[str, User]
    refused: Callable[[str], bool]
    mail_days: Counter[tuple[str, str]]
    unknown: int
    documents: Mapping[tuple[str, str], list[str | None]]
    editions: Mapping[tuple[str, str], int]
    gone: Mapping[str, float]
    ends: datetime
    requests: frozenset[tuple[str, str, str]] = frozenset()
    expired: list[str] = field(default_factory=list)
    conduct: list[str] = field(default_factory=list)
    reported: Mapping[str, set[str]] = field(default_factory=dict)
    mails: Mapping[str, set[str]] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> list[Job]:
        """Return the last state of each job."""
        return self.found.jobs

    def todos(self) -> dict[int, list[Scheduling]]:
        """Return the schedulings of each to-do, by its key."""
        found: dict[int, list[Scheduling]] = defaultdict(list)
        for each in self.schedulings:
            found[each.todo_pk].append(each)
        return found

    def local_day(self, user_id: str, moment: datetime) -> date:
        """Return a user's local day at a moment (aware)."""
        return (moment - timedelta(minutes=self.users[user_id].offset or 0)).date()

    def last_day(self, user_id: str, hour: int) -> date:
        """Return the user's last working day whose `hour` passed before the run ended."""
        day = self.local_day(user_id, self.ends)
        while not is_working_day(day) or self._at(user_id, day, hour) > self.ends:
            day -= timedelta(days=1)
        return day

    def _at(self, user_id: str, day: date, hour: int) -> datetime:
        return start_of_day(day, self.users[user_id].offset or 0) + timedelta(hours=hour)


def facts_of(world: World, run: Run) -> Facts:
    """Collect the facts after a run."""
    server = world.server
    history = [
        (row.at, Job(row.process, row.subject, row.occasion, row.state, row.attempts, row.reason))
        for row in server.rows(HISTORY)
    ]
    last = {(job.process, job.subject, job.occasion): job for _, job in history}
    letters = run.asked.removed_letters + [message for some in dead_letters(run).values() for message in some]
    refused = run.provider.refuses
    found = Found(
        jobs=list(last.values()),
        todos=facts.todos(server.engine),
        extracted=frozenset(row[0] for row in server.rows(facts.EXTRACTED)),
        events=[(row.user_id, str(row.creation_date)) for row in server.rows(EVENTS)],
        errors=[row[0] for row in server.rows("SELECT message FROM md_error")],
        waiting={
            name: len(queue.messages) for name, queue in run.queues.items() if queue.settings.dead_letters
        },
        dead=[
            (letter.body, letter.attributes.get("reason", {}).get("StringValue", "")) for letter in letters
        ],
    )
    documents: dict[tuple[str, str], list[str | None]] = defaultdict(list)
    for row in server.rows(DOCUMENTS):
        documents[row.user_id, row.name].append(row.chunk_text)
    days = Counter((address.partition("@")[0], tag[:10]) for address, tag in run.services.sesv2.mails)
    asked = run.asked
    wanted = Wanted(dict(asked.executions), websites=frozenset(asked.websites), bad=dict(asked.bad))
    return Facts(
        wanted,
        found,
        history,
        [Scheduling(*row) for row in server.rows(SCHEDULINGS)],
        {user.user_id: user for user in run.plan.users},
        refused,
        days,
        len(run.services.sesv2.unknown) + run.lambdas.deaths["EventsWorkerFunction"] * MAILS_AT_ONCE,
        documents,
        asked.editions,
        run.sites.gone,
        START + timedelta(seconds=end_of(run.plan)),
        frozenset(asked.requests),
        [message.body for message in run.expired],
        [*conduct.broken(run), *recovery.broken(run, history)],
        run.services.sesv2.feedback.reported,
        {
            row.message_id: {name for name, value in row._mapping.items() if value is not None}
            for row in server.rows(MAILS)
        },
        [f"{row.user_id}: {row.kind}" for row in server.rows(BLOCKS)],
    )


def broken(known: Facts) -> list[str]:
    """Return every broken promise, each with its job; empty if all hold."""
    of_chaos = [
        f"{check.__name__}: {what}" for check in OF_CHAOS for what in check(known.wanted, known.found)
    ]
    ours = [f"{check.__name__}: {what}" for check in CHECKS for what in check(known)]
    return of_chaos + ours + known.conduct


def broken_for_good(known: Facts) -> list[str]:
    """Return the promises that are already broken in the middle of a run and cannot be mended."""
    return known.conduct + [f"{check.__name__}: {what}" for check in AT_ANY_TIME for what in check(known)]


def failures_explained(known: Facts) -> Iterator[str]:
    """A job fails only because the model refuses, or because it is unknown whether its mail was sent."""
    unknown = []
    descriptions = {str(each.todo_pk): each.description for each in known.schedulings}
    for job in known.jobs:
        about = descriptions.get(job.subject, "") if job.process == "reschedule_todo" else job.subject
        refused = known.refused(f"{job.process} {about}")
        if job.state == "done" and refused:
            yield f"{job}: is done, although the model refuses it"
        if job.state != "failed":
            continue
        if job.process == "events" and job.reason.startswith(UNKNOWN):
            unknown.append(job)
        elif job.process == "update_document" and job.reason == PAGE_GONE and known.gone:
            # The update was requested before the page was removed.
            continue
        elif not (refused and job.reason == REFUSES):
            yield f"{job}: failed after {job.attempts} attempts, {job.reason!r}"
    if len(unknown) > known.unknown:
        for job in unknown:
            yield f"{job}: {job.reason!r}, but only {known.unknown} mails had no answer"


def skips_explained(known: Facts) -> Iterator[str]:
    """A job is skipped only if there is nothing left to do."""
    reasons = {
        "extract_todos": ("its to-dos were extracted already", "it was extracted or deleted"),
        "reschedule_todo": (
            "it is not overdue",
            "it is completed",
            "it was moved",
            "it was completed",
            "a later message",
        ),
        "events": DAY_PASSED,
        "update_document": (NOT_CHANGED, SUPERSEDED),
        "ingest_page": ("the page is not staged any more",),
    }
    for job in known.jobs:
        named = any(
            job.subject in body and job.reason.startswith(why) for body, why in known.wanted.bad.items()
        )
        expected = reasons.get(job.process, ())
        if job.state == "skipped" and not named and not any(why in job.reason for why in expected):
            yield f"{job}: skipped, {job.reason!r}"


def ended_once(known: Facts) -> Iterator[str]:
    """A done job never changes again."""
    done: dict[tuple[str, str, str], float] = {}
    for moment, job in known.history:
        key = (job.process, job.subject, job.occasion)
        if key in done:
            yield f"{job}: is {job.state} after it was done"
        if job.state == "done":
            done[key] = moment


def todos_once(known: Facts) -> Iterator[str]:
    """A done execution has its mark and its to-dos, each once with one first date; any other has nothing."""
    jobs = known.found.of("extract_todos")
    first = Counter(each.todo_pk for each in known.schedulings if not each.moved)
    for pk, steps in known.wanted.executions.items():
        job = jobs.get(str(pk))
        done = job is not None and job.state == "done"
        there = Counter(description for description, _ in known.found.todos.get(pk, []))
        if there != Counter(steps if done else ()):
            yield f"extract_todos {pk}: {dict(there)} instead of {steps if done else ()}"
        if (pk in known.found.extracted) != done:
            yield f"extract_todos {pk}: todos_extracted and the job, {job and job.state}, disagree"
    for pk, times in first.items():
        if times != 1:
            yield f"to-do {pk}: has {times} first dates"


def moved_once_a_day(known: Facts) -> Iterator[str]:
    """No to-do is moved twice on one local day."""
    moves = Counter(
        (each.todo_pk, known.local_day(each.user_id, each.created))
        for each in known.schedulings
        if each.moved
    )
    yield from (f"reschedule_todo {pk}: moved {n} times on {day}" for (pk, day), n in moves.items() if n > 1)


def nothing_overdue(known: Facts) -> Iterator[str]:
    """After the last working night no to-do is overdue, unless the model refuses it."""
    failed = {job.subject for job in known.jobs if job.process == "reschedule_todo" and job.state == "failed"}
    for pk, dates in known.todos().items():
        newest = dates[-1]
        day = known.last_day(newest.user_id, NIGHT_ENDS)
        if not newest.completed and newest.scheduled_date < day and str(pk) not in failed:
            yield f"reschedule_todo {pk}: planned for {newest.scheduled_date}, but not moved on {day}"


def mails_once(known: Facts) -> Iterator[str]:
    """A user gets one mail a day. A done job has sent and recorded it; other jobs have recorded none."""
    for (user, day), times in known.mail_days.items():
        if times > 1:
            yield f"events {mail_job(user)} {day}: {times} mails"
    for job in known.jobs:
        if job.process != "events":
            continue
        sent = known.mail_days[job.subject.partition(":")[2], job.occasion]
        if job.state == "done" and sent != 1:
            yield f"{job}: done, {sent} mails"
        if job.state == "skipped" and sent:
            yield f"{job}: skipped, and a mail was sent"
    done = sum(job.process == "events" and job.state == "done" for job in known.jobs)
    if len(known.found.events) != done:
        yield f"events: {done} jobs are done, {len(known.found.events)} rows in md_event"


def feedback_saved(known: Facts) -> Iterator[str]:
    """SES's events about a mail are saved with its user. All were delivered, so there is no mail block."""
    for message_id, columns in known.reported.items():
        for column in sorted(columns - known.mails.get(message_id, set())):
            yield f"mail {message_id}: {column} is not saved"
    unowned = sum("user_id" not in columns for columns in known.mails.values())
    if unowned > known.unknown:
        yield f"mails: {unowned} have no user, but only {known.unknown} had no answer"
    yield from (f"mail block {block}: no mail had bounced" for block in known.blocks)


def nobody_without_mail(known: Facts) -> Iterator[str]:
    """Every user who wants the mail and has a to-do for the last working day has a job for it."""
    there = {(job.subject, job.occasion) for job in known.jobs if job.process == "events"}
    for pk, dates in known.todos().items():
        newest = dates[-1]
        user = known.users[newest.user_id]
        day = known.last_day(user.user_id, MAIL_ENDS)
        early = known.local_day(user.user_id, newest.created) < day
        due = user.wants_mail and not newest.completed and newest.scheduled_date <= day and early
        if due and (mail_job(user.user_id), day.isoformat()) not in there:
            yield f"events {mail_job(user.user_id)} {day}: no job, although to-do {pk} is due"


def documents_complete(known: Facts) -> Iterator[str]:
    """Every page has a document of the requested edition, with each chunk once and in order.

    A page that was removed long ago has none.
    """
    for subject in known.wanted.websites:
        user_id, url = subject.split(" ")
        host = url.split("/")[2]
        for path in paths():
            name = f"https://{host}{path}"
            chunks = known.documents.get((user_id, name))
            if name in known.gone:
                if chunks and known.ends.timestamp() - known.gone[name] > GONE_SECONDS:
                    yield f"document {name} of {user_id}: exists, although its page was removed"
                continue
            if not chunks or None in chunks:
                yield f"document {name} of {user_id}: does not exist"
                continue
            text = "\n".join(map(str, chunks))
            least = known.editions.get((user_id, name), 1)
            if not any(marker(host, path, edition) in text for edition in range(least, least + 100)):
                yield f"document {name} of {user_id}: does not contain {marker(host, path, least)!r}"
            if len(set(chunks)) != len(chunks):
                yield f"document {name} of {user_id}: has a chunk twice"


def requests_answered(known: Facts) -> Iterator[str]:
    """Each request has a job for the day on which it was sent, however late it was handled."""
    there = {(job.process, job.subject, job.occasion) for job in known.jobs}
    yield from (f"{' '.join(key)}: no job" for key in sorted(known.requests - there))


def nothing_expired(known: Facts) -> Iterator[str]:
    """SQS dropped no message at the end of its retention."""
    yield from (f"{body}: SQS dropped it" for body in known.expired)


OF_CHAOS = (
    chaos_checks.nothing_stuck,
    chaos_checks.websites_complete,
    chaos_checks.errors_told_once,
    chaos_checks.queues_empty,
    chaos_checks.dead_letters_exact,
)
AT_ANY_TIME: tuple[Callable[[Facts], Iterator[str]], ...] = (
    failures_explained,
    ended_once,
    todos_once,
    moved_once_a_day,
    mails_once,
)
CHECKS: tuple[Callable[[Facts], Iterator[str]], ...] = (
    failures_explained,
    skips_explained,
    ended_once,
    todos_once,
    moved_once_a_day,
    nothing_overdue,
    mails_once,
    feedback_saved,
    nobody_without_mail,
    documents_complete,
    requests_answered,
    nothing_expired,
)
