"""The invariants. Each check reads plain data and yields one line for each job that breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.plan import Fate

REFUSES = "the model refuses this content"
NONSENSE = "the model's answers do not have the form that was asked for"
NOT_KNOWN = "it is not known whether the mail was sent"
NOT_CHANGED, SUPERSEDED = "it has not changed", "a later message updates it"
# The first question and two repetitions (`mojodex.model`).
TIMES_NONSENSE = 3
# The number of mails that a killed worker may have been sending (template.yaml, BatchSize).
MAILS_AT_ONCE = 10

# A document's chunks in order: index, text, vector.
type Chunks = list[tuple[int, str, str]]


@dataclass(frozen=True)
class Job:
    """A row of the ledger."""

    process: str
    subject: str
    occasion: str
    state: str
    attempts: int = 1
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.process} {self.subject} {self.occasion}".strip()


@dataclass(frozen=True)
class Wanted:
    """The work that was asked for.

    Attributes:
        executions: descriptions of the to-dos of each execution, by its key.
        moves: keys of the overdue to-dos.
        mails: ids of the users who get a mail.
        websites: subjects of the websites' jobs.
        updates: number of updates requested for each document, by its key.
        bad: bodies of invalid messages, with the beginning of the reason.
    """

    executions: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    moves: frozenset[int] = frozenset()
    mails: frozenset[str] = frozenset()
    websites: frozenset[str] = frozenset()
    updates: Mapping[int, int] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The facts after a run.

    Attributes:
        jobs: the ledger.
        todos: description and number of dates of each to-do, by the key of its execution.
        extracted: keys of the executions that are marked as extracted.
        moves: key of the to-do and local day of each move.
        mails: user and day of each mail that SES accepted.
        events: user and day of each md_event.
        documents: chunks by document name, for the user of the disturbed work.
        undisturbed: the same for the user of the undisturbed work.
        errors: messages in md_error.
        waiting: number of messages by queue, hidden ones included.
        dead: body and reason of the dead letters.
        said: returns the model's answers about a subject ("process subject").
        mailers_killed: how often a worker of events was killed.
    """

    jobs: list[Job] = field(default_factory=list)
    todos: Mapping[int, list[tuple[str, int]]] = field(default_factory=dict)
    extracted: frozenset[int] = frozenset()
    moves: list[tuple[int, str]] = field(default_factory=list)
    mails: list[tuple[str, str]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    documents: Mapping[str, Chunks] = field(default_factory=dict)
    undisturbed: Mapping[str, Chunks] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    waiting: Mapping[str, int] = field(default_factory=dict)
    dead: list[tuple[str, str]] = field(default_factory=list)
    said: Callable[[str], list[Fate]] = lambda _subject: []
    mailers_killed: int = 0

    def of(self, process: str) -> dict[str, Job]:
        """Return the jobs of a process by subject; of several jobs, the last one."""
        return {job.subject: job for job in self.jobs if job.process == process}


def broken(wanted: Wanted, found: Found) -> list[str]:
    """Return every broken invariant with its job; empty if all hold."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(wanted, found)]


def nothing_lost(wanted: Wanted, found: Found) -> Iterator[str]:
    """All work that was asked for is in the ledger."""
    subjects = {
        "extract_todos": map(str, wanted.executions),
        "reschedule_todo": map(str, wanted.moves),
        "events": (mail_job(user) for user in wanted.mails),
        "create_from_website": wanted.websites,
    }
    for process, some in subjects.items():
        known = found.of(process)
        yield from (f"{process} {subject}: no job" for subject in some if subject not in known)
    updates = Counter(job.subject for job in found.jobs if job.process == "update_document")
    for pk, times in wanted.updates.items():
        if updates[str(pk)] != times:
            yield f"update_document {pk}: {updates[str(pk)]} jobs of {times} messages"


def nothing_stuck(_wanted: Wanted, found: Found) -> Iterator[str]:
    """Every job has ended."""
    for job in found.jobs:
        if job.state not in ("done", "failed", "skipped"):
            yield f"{job}: is {job.state} after {job.attempts} attempts"


def failures_explained(_wanted: Wanted, found: Found) -> Iterator[str]:
    """A job fails only because of a planned fault, and never succeeds against the plan."""
    not_known = []
    for job in found.jobs:
        said = found.said(f"{job.process} {job.subject}")
        if job.state == "done" and job.process in ("extract_todos", "reschedule_todo"):
            if Fate.REFUSAL in said:
                yield f"{job}: is done, although the model refused it"
        elif job.state == "failed" and job.reason.startswith(NOT_KNOWN) and job.process == "events":
            not_known.append(job)
        elif job.state == "failed":
            refused = job.reason == REFUSES and Fate.REFUSAL in said
            nonsense = job.reason == NONSENSE and said.count(Fate.NONSENSE) >= TIMES_NONSENSE
            if not refused and not nonsense:
                yield f"{job}: failed after {job.attempts} attempts, {job.reason!r}; the model said {said}"
    if len(not_known) > found.mailers_killed * MAILS_AT_ONCE:
        for job in not_known:
            yield f"{job}: {job.reason!r}, but only {found.mailers_killed} workers were killed"


def skips_explained(wanted: Wanted, found: Found) -> Iterator[str]:
    """A job is skipped only if there was nothing to do."""
    for job in found.jobs:
        if job.state != "skipped":
            continue
        named = any(job.subject in body and job.reason.startswith(why) for body, why in wanted.bad.items())
        if not named and not (job.process == "update_document" and job.reason in (NOT_CHANGED, SUPERSEDED)):
            yield f"{job}: skipped, {job.reason!r}"


def todos_exactly_once(wanted: Wanted, found: Found) -> Iterator[str]:
    """A done execution has its mark and its to-dos, each once with one date; any other has nothing."""
    jobs = found.of("extract_todos")
    for pk, steps in wanted.executions.items():
        job = jobs.get(str(pk))
        done = job is not None and job.state == "done"
        there = Counter(description for description, _ in found.todos.get(pk, []))
        if there != Counter(steps if done else ()):
            yield f"extract_todos {pk}: {dict(there)} instead of {steps if done else ()}"
        if any(dates != 1 for _, dates in found.todos.get(pk, [])):
            yield f"extract_todos {pk}: a to-do has no date or several"
        if (pk in found.extracted) != done:
            yield f"extract_todos {pk}: todos_extracted and the job, {job and job.state}, disagree"


def moved_once_a_day(wanted: Wanted, found: Found) -> Iterator[str]:
    """No to-do is moved twice in a day, and exactly the to-dos of done jobs are moved."""
    moved, jobs = Counter(found.moves), found.of("reschedule_todo")
    for (pk, day), times in moved.items():
        if times > 1:
            yield f"reschedule_todo {pk}: moved {times} times on {day}"
    ever = {pk for pk, _ in moved}
    for pk in wanted.moves:
        job = jobs.get(str(pk))
        if (job is not None and job.state == "done") != (pk in ever):
            yield f"reschedule_todo {pk}: the job is {job and job.state}, moved: {pk in ever}"


def one_mail_a_day(wanted: Wanted, found: Found) -> Iterator[str]:
    """A user gets one mail a day. A done job sent one, a failed job at most one, other jobs none."""
    mails, events, jobs = Counter(found.mails), Counter(found.events), found.of("events")
    for (user, day), times in mails.items():
        if times > 1:
            yield f"events {mail_job(user)} {day}: {times} mails"
    for user in wanted.mails:
        job = jobs.get(mail_job(user))
        state, day = (job.state, job.occasion) if job else (None, "")
        sent, noted = mails[user, day], events[user, day]
        if state == "done" and (sent, noted) != (1, 1):
            yield f"events {mail_job(user)} {day}: done, {sent} mails, {noted} in md_event"
        if state != "done" and noted:
            yield f"events {mail_job(user)} {day}: {state}, and in md_event"
        if state not in ("done", "failed") and sent:
            yield f"events {mail_job(user)} {day}: {state}, and a mail was sent"


def documents_equal(_wanted: Wanted, found: Found) -> Iterator[str]:
    """The documents equal those of the undisturbed work, chunk for chunk."""
    for name in sorted(found.documents.keys() | found.undisturbed.keys()):
        here, there = found.documents.get(name), found.undisturbed.get(name)
        if here != there:
            counts = [None if chunks is None else len(chunks) for chunks in (here, there)]
            yield f"document {name}: {counts[0]} chunks differ from the {counts[1]} undisturbed ones"


def websites_complete(wanted: Wanted, found: Found) -> Iterator[str]:
    """Every website's job is done. A failed one would leave documents out."""
    jobs = found.of("create_from_website")
    for subject in wanted.websites:
        if (job := jobs.get(subject)) and job.state != "done":
            yield f"{job}: {job.state}, {job.reason!r}"


def errors_told_once(_wanted: Wanted, found: Found) -> Iterator[str]:
    """Every failed job has one row in md_error."""
    failed = Counter(
        f"background {j.process} {j.subject} {j.occasion}: {j.reason}"
        for j in found.jobs
        if j.state == "failed"
    )
    told = Counter(found.errors)
    for message in failed.keys() | told.keys():
        if failed[message] != told[message]:
            yield f"{message}: {failed[message]} failed jobs, {told[message]} rows in md_error"


def queues_empty(_wanted: Wanted, found: Found) -> Iterator[str]:
    """Every queue is empty."""
    yield from (f"{queue}: {count} messages" for queue, count in found.waiting.items() if count)


def dead_letters_exact(wanted: Wanted, found: Found) -> Iterator[str]:
    """The dead letters are exactly the invalid messages, each with its reason."""
    reasons = defaultdict(set)
    for body, reason in found.dead:
        reasons[body].add(reason)
    for body, begin in wanted.bad.items():
        if body not in reasons:
            yield f"{body}: is not a dead letter"
        elif not all(reason.startswith(begin) for reason in reasons[body]):
            yield f"{body}: {reasons[body]} instead of {begin!r}"
    yield from (f"{body}: is a dead letter: {why}" for body, why in reasons.items() if body not in wanted.bad)


def mail_job(user: str) -> str:
    """Return the subject of the job of a user's mail."""
    return f"todo_daily_emails:{user}"


CHECKS: tuple[Callable[[Wanted, Found], Iterator[str]], ...] = (
    nothing_lost,
    nothing_stuck,
    failures_explained,
    skips_explained,
    todos_exactly_once,
    moved_once_a_day,
    one_mail_a_day,
    documents_equal,
    websites_complete,
    errors_told_once,
    queues_empty,
    dead_letters_exact,
)
