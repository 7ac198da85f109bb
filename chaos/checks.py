"""What must be true afterwards. Each check is a function of plain data, and names the job of what is not."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.plan import Fate

REFUSES = "the model refuses this content"
NONSENSE = "the model's answers do not have the form that was asked for"
NOT_KNOWN = "it is not known whether the mail was sent"
NOT_CHANGED, SUPERSEDED = "it has not changed", "a later message updates it"
# One question, and twice again (`mojodex.model`).
TIMES_NONSENSE = 3
# A killed worker may have been sending so many (template.yaml, BatchSize).
MAILS_AT_ONCE = 10

# A document's chunks in their order: place, text, vector.
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
    """What was asked for.

    Attributes:
        executions: descriptions of the to-dos of each execution, by its key.
        moves: keys of the overdue to-dos.
        mails: ids of the users who get a mail.
        websites: subjects of the jobs of websites.
        updates: how often an update of each document was asked for, by its key.
        bad: messages that are not valid: their body, and how the reason begins.
    """

    executions: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    moves: frozenset[int] = frozenset()
    mails: frozenset[str] = frozenset()
    websites: frozenset[str] = frozenset()
    updates: Mapping[int, int] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What there is afterwards.

    Attributes:
        jobs: the ledger.
        todos: description and number of schedulings of each to-do of an execution, by its key.
        extracted: keys of the executions that have the mark.
        moves: key of a to-do and the user's local day, of each move.
        mails: user and day, of each mail that SES took; `events` the same of each md_event.
        documents, undisturbed: of the user whose documents the run made, and of the one who was left alone:
            the chunks by name.
        errors: messages in md_error.
        waiting: messages by queue, hidden ones included.
        dead: body and reason of the dead letters.
        said: what the model answered about a subject ("process subject").
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
        """The jobs of a process by their subject; of several the last."""
        return {job.subject: job for job in self.jobs if job.process == process}


def broken(wanted: Wanted, found: Found) -> list[str]:
    """Every invariant that is broken, each with the job; empty when all is true."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(wanted, found)]


def nothing_lost(wanted: Wanted, found: Found) -> Iterator[str]:
    """What was asked for is in the ledger."""
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
    """A job failed only for what the plan did to it, and did not succeed against the plan."""
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
            yield f"{job}: {job.reason!r}, and {found.mailers_killed} workers were killed"


def skips_explained(wanted: Wanted, found: Found) -> Iterator[str]:
    """A job was skipped only because there was nothing to do."""
    for job in found.jobs:
        if job.state != "skipped":
            continue
        named = any(job.subject in body and job.reason.startswith(why) for body, why in wanted.bad.items())
        if not named and not (job.process == "update_document" and job.reason in (NOT_CHANGED, SUPERSEDED)):
            yield f"{job}: skipped, {job.reason!r}"


def todos_exactly_once(wanted: Wanted, found: Found) -> Iterator[str]:
    """A done execution has its to-dos, each once and with one date, and the mark; any other one nothing."""
    jobs = found.of("extract_todos")
    for pk, steps in wanted.executions.items():
        job = jobs.get(str(pk))
        done = job is not None and job.state == "done"
        there = Counter(description for description, _ in found.todos.get(pk, []))
        if there != Counter(steps if done else ()):
            yield f"extract_todos {pk}: {dict(there)} instead of {steps if done else ()}"
        if any(dates != 1 for _, dates in found.todos.get(pk, [])):
            yield f"extract_todos {pk}: a to-do has not one date"
        if (pk in found.extracted) != done:
            yield f"extract_todos {pk}: todos_extracted and the job, {job and job.state}, disagree"


def moved_once_a_day(wanted: Wanted, found: Found) -> Iterator[str]:
    """No to-do was moved twice in a day; one whose job is done was moved."""
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
    """Nobody has two mails for a day. A done job has sent one; a failed one at most one; others none."""
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
    """The documents are those of a run that nobody disturbed: the same ones, chunk for chunk."""
    for name in sorted(found.documents.keys() | found.undisturbed.keys()):
        here, there = found.documents.get(name), found.undisturbed.get(name)
        if here != there:
            counts = [None if chunks is None else len(chunks) for chunks in (here, there)]
            yield f"document {name}: chunks {counts[0]}, undisturbed {counts[1]}, or not the same ones"


def websites_complete(wanted: Wanted, found: Found) -> Iterator[str]:
    """Every website is done; a page that is not would make a document that is not there."""
    jobs = found.of("create_from_website")
    for subject in wanted.websites:
        if (job := jobs.get(subject)) and job.state != "done":
            yield f"{job}: {job.state}, {job.reason!r}"


def errors_told_once(_wanted: Wanted, found: Found) -> Iterator[str]:
    """Every failed job is in md_error, once."""
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
    """No message is left."""
    yield from (f"{queue}: {count} messages" for queue, count in found.waiting.items() if count)


def dead_letters_exact(wanted: Wanted, found: Found) -> Iterator[str]:
    """The dead letters are the messages that are not valid, each with its reason."""
    reasons = defaultdict(set)
    for body, reason in found.dead:
        reasons[body].add(reason)
    for body, begin in wanted.bad.items():
        if body not in reasons:
            yield f"{body}: is no dead letter"
        elif not all(reason.startswith(begin) for reason in reasons[body]):
            yield f"{body}: {reasons[body]} instead of {begin!r}"
    yield from (f"{body}: is a dead letter, {why}" for body, why in reasons.items() if body not in wanted.bad)


def mail_job(user: str) -> str:
    """The subject of the job of a user's mail."""
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
