"""The load: rows for the database, messages in waves, and the result to expect."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any

from sqlalchemy import Connection, Engine, text

from chaos.checks import Wanted
from chaos.model import conversation, step
from chaos.plan import Plan
from local.runtime.stack import PREFIXES
from tests.website import WORDS, Website, website

PAGES = 10
# One job for a website, one for each of its pages, and one for the update of each page.
JOBS_PER_SITE = 1 + PAGES + PAGES
# The shares of the other jobs.
EXTRACTIONS_SHARE, MOVES_SHARE = 0.45, 0.3
MOST_STEPS = 3
# Of a hundred messages, how many are invalid.
BAD = 1
# Keys that no sequence reaches during a run.
FIRST_KEY = 1_000_000
# The user whose work is disturbed, and the user whose work is not.
DISTURBED, UNDISTURBED = "disturbed", "undisturbed"
# Time offsets of users (UTC minus local, in minutes) whose time is night, morning, noon at NIGHT_HOUR UTC.
NIGHT_HOUR, NIGHT, MORNING, NOON = 3, 0, -330, -540
LONG_AGO, JUST_NOW = timedelta(minutes=30), timedelta(minutes=1)

# Messages that name nothing that exists: their fields (None stands for a key) and the reason.
NOBODY: dict[str, tuple[dict[str, str | None], str]] = {
    "extract_todos": ({"user_task_execution_pk": None}, "there is no user_task_execution"),
    "reschedule_todo": ({"todo_pk": None}, "there is no todo"),
    "ingest_page": ({"page_pk": None}, "there is no page"),
    "update_document": ({"user_id": DISTURBED, "document_pk": None}, "there is no document"),
}
EXECUTION = (
    "INSERT INTO md_task (task_pk, name_for_system, definition_for_system) VALUES (:k, 'minutes', 'Minutes')",
    "INSERT INTO md_user_task (user_task_pk, user_id, task_fk) VALUES (:k, :u, :k)",
    "INSERT INTO md_session (session_id, user_id, creation_date) VALUES (:s, :u, now())",
    "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
    " VALUES (:s, 'user', CAST(:m AS json), now(), now())",
    "INSERT INTO md_user_task_execution"
    " (user_task_execution_pk, user_task_fk, session_id, json_input_values, todos_extracted)"
    " VALUES (:k, :k, :s, '{}', CASE WHEN :x THEN now() END)",
    "INSERT INTO md_produced_text (produced_text_pk, user_id, user_task_execution_fk, session_id)"
    " VALUES (:k, :u, :k, :s)",
    "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
    " VALUES (:k, :e, 'The minutes.', 'Minutes')",
)
TODO = (
    "INSERT INTO md_todo (todo_pk, user_task_execution_fk, description, creation_date)"
    " VALUES (:k, :k, :d, :at)",
    "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date) VALUES (:k, :day, :at)",
)

type Message = tuple[str, str]


@dataclass(frozen=True)
class Sites:
    """Websites on loopback. The run crawls `new` for the first time, and updates the pages of `changing`."""

    new: list[Website]
    changing: list[Website]

    def change(self) -> None:
        """Give every page of the changing websites a new text."""
        for number, site in enumerate(self.changing):
            _put(site, f"changing{number}", edition=2)


@contextmanager
def sites(count: int) -> Iterator[Sites]:
    """Run `count` websites of each kind."""
    with ExitStack() as running:
        found = Sites(*([running.enter_context(website()) for _ in range(count)] for _ in range(2)))
        for number, (new, changing) in enumerate(zip(found.new, found.changing, strict=True)):
            _put(new, f"new{number}")
            _put(changing, f"changing{number}")
        yield found


def _put(site: Website, name: str, edition: int = 1) -> None:
    paths = ["/"] + [f"/{name}/{number}" for number in range(1, PAGES)]
    for path in paths:
        said = [WORDS.format(thing=f"{color} thing of {name}{path}") for color in ("red", "blue", "green")]
        said[1] = said[1] if edition == 1 else WORDS.format(thing=f"edition {edition} of {name}{path}")
        site.html(path, *said, links=tuple(other for other in paths if other != path))


@dataclass
class Load:
    """A load for one stack, and the result to expect.

    Attributes:
        plan: decides which messages are published although a schedule finds the same work.
        engine: connects to the stack's database.
        now: the moment (aware) at which the functions' clock starts.
        count: approximate number of jobs.
        sites: the websites.
        executions, moves, mails, websites, documents, bad: the work asked for so far, see `Wanted`.
    """

    plan: Plan
    engine: Engine
    now: datetime
    count: int
    sites: Sites
    executions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    moves: list[int] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    websites: list[str] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    def wanted(self, sent: Counter[str]) -> Wanted:
        """Return the expected result. `sent` counts how often each body was published."""
        return Wanted(
            dict(self.executions),
            frozenset(self.moves),
            frozenset(self.mails),
            frozenset(self.websites),
            {pk: sent[update_of(DISTURBED, pk)[1]] for pk in self.documents},
            dict(self.bad),
        )

    def waves(self, number: int) -> Iterator[list[Message]]:
        """Fill the database in `number` steps. Yield the messages of each step."""
        rest = self.count - len(self.sites.new) * JOBS_PER_SITE
        extractions, moves = round(rest * EXTRACTIONS_SHARE), round(rest * MOVES_SHARE)
        documents = documents_of(self.engine, DISTURBED)
        counts: dict[Callable[[Connection, int], Message | None], int] = {
            self._execution: extractions,
            self._overdue: moves,
            self._day: rest - extractions - moves,
            self._website: len(self.sites.new),
            partial(self._update, documents): len(documents),
            self._bad: max(len(PREFIXES), self.count * BAD // 100),
        }
        work = [(make, number) for make, count in counts.items() for number in range(count)]
        random.Random(self.plan.seed).shuffle(work)
        for some in batched(work, -(-len(work) // number), strict=False):
            with self.engine.begin() as connection:
                messages = [make(connection, number) for make, number in some]
            # Published after the commit, as the backend does.
            yield [message for message in messages if message is not None]

    def _ours(self, process: str, number: int, body: dict[str, Any]) -> Message | None:
        """Return a message for half of the work that the schedules find as well."""
        ours = self.plan.percent("ours", process, number) < 50
        return (process, json.dumps(body)) if ours else None

    def _execution(self, connection: Connection, number: int) -> Message | None:
        pk = FIRST_KEY + number
        message = self._ours("extract_todos", number, {"user_task_execution_pk": pk})
        # The schedule does not find an execution that has just ended, so only our message can start it.
        ended = self.now - (JUST_NOW if message else LONG_AGO)
        steps = int(self.plan.percent("steps", number)) % (MOST_STEPS + 1)
        user = f"worker-{number // 5}"
        insert_execution(connection, pk, user, NOON, said=conversation(pk, steps), ended=ended)
        self.executions[pk] = tuple(step(pk, i) for i in range(steps))
        return message

    def _overdue(self, connection: Connection, number: int) -> Message | None:
        pk = 2 * FIRST_KEY + number
        insert_execution(connection, pk, f"sleeper-{number // 5}", NIGHT, extracted=True)
        insert_todo(connection, pk, f"Thing {pk}", self.now.date() - timedelta(days=1), self.now)
        self.moves.append(pk)
        return self._ours("reschedule_todo", number, {"todo_pk": pk})

    def _day(self, connection: Connection, number: int) -> Message | None:
        pk, user = 3 * FIRST_KEY + number, f"reader-{number}"
        insert_execution(connection, pk, user, MORNING, extracted=True)
        insert_todo(connection, pk, f"Errand {pk}", self.now.date(), self.now)
        self.mails.append(user)
        return self._ours("events", number, {"event_type": "todo_daily_emails", "user_id": user})

    def _website(self, _connection: Connection, number: int) -> Message:
        process, body = website_of(DISTURBED, self.sites.new[number])
        self.websites.append(f"{DISTURBED} {self.sites.new[number].url}/")
        return process, body

    def _update(self, documents: Sequence[int], _connection: Connection, number: int) -> Message:
        self.documents.append(documents[number])
        return update_of(DISTURBED, documents[number])

    def _bad(self, _connection: Connection, number: int) -> Message:
        process = list(PREFIXES)[number % len(PREFIXES)]
        body, reason = f"This is no JSON, number {number}", "message: Invalid JSON"
        if number % 2 and process in NOBODY:
            fields, reason = NOBODY[process]
            body = json.dumps({name: value or 9 * FIRST_KEY + number for name, value in fields.items()})
        self.bad[body] = reason
        return process, body


def website_of(user: str, site: Website) -> Message:
    """Return the message that requests a website."""
    fields = {"user_id": user, "website_url": f"{site.url}/", "request_id": "1"}
    return "create_from_website", json.dumps(fields)


def update_of(user: str, document_pk: int) -> Message:
    """Return the message that requests an update."""
    return "update_document", json.dumps({"user_id": user, "document_pk": document_pk})


def documents_of(engine: Engine, user: str) -> list[int]:
    """Return the keys of a user's documents."""
    with engine.begin() as connection:
        query = "SELECT document_pk FROM md_document WHERE author_user_id = :u ORDER BY name"
        return list(connection.execute(text(query), {"u": user}).scalars())


def insert_user(connection: Connection, user: str, timezone_offset: int) -> None:
    """Insert a user, unless the id exists."""
    connection.execute(
        text(
            "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, creation_date)"
            " VALUES (:u, :u || '@example.com', :u, 'en', :o, now()) ON CONFLICT DO NOTHING"
        ),
        {"u": user, "o": timezone_offset},
    )


def insert_execution(
    connection: Connection,
    pk: int,
    user: str,
    timezone_offset: int,
    *,
    said: str = "",
    ended: datetime | None = None,
    extracted: bool = False,
) -> None:
    """Insert an execution with a task of its own, and with a result if it has `ended`."""
    insert_user(connection, user, timezone_offset)
    values = {"k": pk, "s": f"session-{pk}", "u": user, "m": json.dumps({"text": said})}
    values |= {"e": ended and ended.replace(tzinfo=None), "x": extracted}
    for statement in EXECUTION if ended else EXECUTION[:-2]:
        connection.execute(text(statement), values)


def insert_todo(connection: Connection, pk: int, description: str, day: date, now: datetime) -> None:
    """Insert a to-do for the execution with the same key, planned for a day."""
    values = {"k": pk, "d": description, "day": day, "at": now - timedelta(days=2)}
    for statement in TODO:
        connection.execute(text(statement), values)
