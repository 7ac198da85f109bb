"""Mojodex's backend and its users: they ask for work, publish messages, and tick off to-dos."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, text

from chaos.checks import mail_job
from chaos.load import FIRST_KEY, NOBODY, insert_execution, insert_todo
from chaos.model import conversation, step
from mojodex.queues import message_group
from simulation.aws import Sqs
from simulation.kernel import Kernel
from simulation.plan import DAY, HOUR, Plan, User, Work
from simulation.postgres import Server
from simulation.sites import Sites, paths
from simulation.sqs import Queue, StoredMessage

# The hour (UTC) at which users tick off to-dos, and after how many moves they do so at the latest.
TICK_OFF_HOUR, MOST_MOVES = 16, 3
# Of a hundred due to-dos, how many are ticked off on their day.
DONE_IN_TIME = 40
# A refresh takes minutes, so none begins in the last seconds of a run.
LAST_REFRESH_BEFORE = 2 * HOUR
TWICE_SECONDS = (0.5, 900.0)
DUE_TODOS = """
    SELECT todo_pk, count(scheduling.*) - 1 AS moves, max(scheduling.scheduled_date) AS day
    FROM md_todo AS todo JOIN md_todo_scheduling AS scheduling ON todo_fk = todo_pk
    WHERE completed IS NULL GROUP BY todo_pk ORDER BY todo_pk
"""
DOCUMENTS = """
    SELECT document_pk, name, author_user_id FROM md_document
    WHERE name LIKE :site AND NOT deleted_by_user ORDER BY document_pk
"""


@dataclass
class Asked:
    """The work that was asked for so far, for the checks.

    Attributes:
        executions: the to-dos of each execution, by its key.
        overdue: keys of to-dos that were overdue, and their users.
        requests: process, subject and occasion of each request's job.
        websites: subjects of the websites' jobs.
        editions: the oldest edition that a document may hold, by user and address.
        bad: bodies of invalid messages, with the beginning of the reason.
        removed_letters: invalid messages that an operator removed from a dead-letter queue.
    """

    executions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    overdue: list[tuple[int, User]] = field(default_factory=list)
    requests: set[tuple[str, str, str]] = field(default_factory=set)
    websites: list[str] = field(default_factory=list)
    editions: dict[tuple[str, str], int] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    removed_letters: list[StoredMessage] = field(default_factory=list)


@dataclass
class Backend:
    """The backend of one run.

    Attributes:
        queues: the workers' queues, by process.
    """

    kernel: Kernel
    server: Server
    sqs: Sqs
    queues: Mapping[str, Queue]
    sites: Sites
    plan: Plan
    asked: Asked = field(default_factory=Asked)

    def start(self) -> None:
        """Insert the users, and schedule the plan's work."""
        with self._transaction() as connection:
            for user in self.plan.users:
                _insert_user(connection, user)
        for work in self.plan.work:
            self.kernel.call_later(work.at, lambda work=work: self._do(work))  # type: ignore[misc]
        self.kernel.call_later(self.plan.seconds - LAST_REFRESH_BEFORE, self._end_refreshes)
        for day in range(int(self.plan.days) + 1):
            self.kernel.call_later(day * DAY + TICK_OFF_HOUR * HOUR, self._tick_off)

    def _do(self, work: Work) -> None:
        self.kernel.trace("asked", work.kind, work.number)
        user = self.plan.users[work.user]
        match work.kind:
            case "execution":
                self._add_execution(work, user)
            case "overdue":
                self._add_overdue(work, user)
            case "request":
                self._request(work, user)
            case "site":
                self._request_site(work, user)
            case "update":
                self._change_site(work)
            case "bad":
                self._publish_invalid(work, user)

    def _add_execution(self, work: Work, user: User) -> None:
        pk = FIRST_KEY + work.number
        with self._transaction() as connection:
            insert_execution(
                connection,
                pk,
                user.user_id,
                user.offset or 0,
                said=conversation(pk, work.steps),
                ended=self.kernel.moment,
            )
        self.asked.executions[pk] = tuple(step(pk, number) for number in range(work.steps))
        for _ in range(work.published):
            self._publish("extract_todos", {"user_task_execution_pk": pk}, user, TWICE_SECONDS)

    def _add_overdue(self, work: Work, user: User) -> None:
        """Insert a to-do that was planned for the user's yesterday."""
        pk = 2 * FIRST_KEY + work.number
        today = (self.kernel.moment - timedelta(minutes=user.offset or 0)).date()
        with self._transaction() as connection:
            insert_execution(connection, pk, user.user_id, user.offset or 0, extracted=True)
            insert_todo(connection, pk, f"Thing {pk}", today - timedelta(days=1), self.kernel.moment)
        self.asked.overdue.append((pk, user))

    def _request(self, work: Work, user: User) -> None:
        """Ask for a mail or a move without a day: the message's day in the user's time zone counts."""
        process, subject = "events", mail_job(user.user_id)
        body: dict[str, Any] = {"event_type": "todo_daily_emails", "user_id": user.user_id}
        if work.number % 2:
            if not self.asked.overdue:
                return
            pk, user = self.asked.overdue[work.number % len(self.asked.overdue)]
            process, subject, body = "reschedule_todo", str(pk), {"todo_pk": pk}
        elif not user.wants_mail:
            return
        self._publish(process, body, user, (0, 0))
        day = (self.kernel.moment - timedelta(minutes=user.offset or 0)).date()
        self.asked.requests.add((process, subject, day.isoformat()))

    def _request_site(self, work: Work, user: User) -> None:
        host = f"site{work.number}.example"
        self.sites.editions[host] = 1
        url = f"https://{host}/"
        self.asked.websites.append(f"{user.user_id} {url}")
        body = {"user_id": user.user_id, "website_url": url, "request_id": "1"}
        self._publish("create_from_website", body, user, (0, 0))

    def _end_refreshes(self) -> None:
        """Make no website due any more, so that no refresh is running at the end."""
        with self._transaction() as connection:
            connection.execute(text("UPDATE md_background_website SET refresh_at = 'infinity'"))

    def _change_site(self, work: Work) -> None:
        """Change a site, sometimes remove its last page, and ask to update its documents."""
        if not self.sites.editions:
            return
        host = sorted(self.sites.editions)[work.number % len(self.sites.editions)]
        self.sites.editions[host] += 1
        if work.number % 3 == 2:
            self.sites.gone.setdefault(f"https://{host}{paths()[-1]}", self.kernel.now)
        found = self.server.rows(DOCUMENTS, site=f"https://{host}/%")
        assert len(found) <= len(paths())
        for document in found:
            if document.name in self.sites.gone:
                continue
            self.asked.editions[document.author_user_id, document.name] = self.sites.editions[host]
            body = {"user_id": document.author_user_id, "document_pk": document.document_pk}
            user = next(each for each in self.plan.users if each.user_id == document.author_user_id)
            self._publish("update_document", body, user, (0, 60))

    def _publish_invalid(self, work: Work, user: User) -> None:
        process = sorted(self.queues)[work.number % len(self.queues)]
        body, reason = f"This is no JSON, number {work.number}", "message: Invalid JSON"
        if work.number % 2 and process in NOBODY:
            fields, reason = NOBODY[process]
            body = json.dumps({name: value or 9 * FIRST_KEY + work.number for name, value in fields.items()})
        self.asked.bad[body] = reason
        self.sqs.publish(self.queues[process], body, message_group(user.user_id))

    def _tick_off(self) -> None:
        """Let users tick off to-dos: some on their day, the others after some moves."""
        today = self.kernel.moment.date()
        done = []
        for todo in self.server.rows(DUE_TODOS):
            luck = crc32(f"{self.plan.seed} {todo.todo_pk}".encode())
            if todo.moves > luck % MOST_MOVES or (todo.day <= today and luck % 100 < DONE_IN_TIME):
                done.append(todo.todo_pk)
        with self._transaction() as connection:
            connection.execute(
                text("UPDATE md_todo SET completed = :now WHERE todo_pk = ANY(:done)"),
                {"now": self.kernel.moment, "done": done},
            )
        self.kernel.trace("ticked off", len(done))
        self._remove_invalid_letters()

    def _remove_invalid_letters(self) -> None:
        """Let an operator remove the invalid messages, once a day (docs/operations.md)."""
        for queue in self.queues.values():
            letters = queue.dead_letters.messages if queue.dead_letters else {}
            bad = [letter for letter in letters.values() if "reason" in letter.attributes]
            for letter in bad:
                self.asked.removed_letters.append(letters.pop(letter.id))

    def _publish(self, process: str, body: dict[str, Any], user: User, seconds: tuple[float, float]) -> None:
        """Publish a message within some seconds, as Mojodex's backend does (docs/messages.md)."""
        delay = self.kernel.stream("backend").uniform(*seconds)
        queue, text_ = self.queues[process], json.dumps(body)

        def publish() -> None:
            self.sqs.publish(queue, text_, message_group(user.user_id))

        self.kernel.call_later(delay, publish)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.server.engine.begin() as connection:
            now = f"{self.kernel.now:.6f}"
            connection.execute(text("SELECT set_config('simulation.now', :now, true)"), {"now": now})
            yield connection


def _insert_user(connection: Connection, user: User) -> None:
    connection.execute(
        text(
            "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, creation_date,"
            " todo_email_reception) VALUES (:u, :u || '@example.com', :u, 'en', :o, now(), :w)"
        ),
        {"u": user.user_id, "o": user.offset, "w": user.wants_mail},
    )
