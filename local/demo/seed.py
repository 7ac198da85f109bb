"""Demo data: an account with finished tasks and open to-dos, and a colleague on another continent."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, text

from local.demo import stories
from local.demo.stories import Person, Plan, Story, working_day


@dataclass(frozen=True)
class SeededUser:
    """A user of the demo account."""

    user_id: str
    person: Person

    def at(self, day: date, wall_clock: time) -> datetime:
        """Return the moment (aware, UTC) of a day and time on the user's wall clock."""
        return datetime.combine(day, wall_clock, UTC) + timedelta(minutes=self.person.timezone_offset)

    def wall_clock(self, moment: datetime) -> datetime:
        """Return the user's local time (naive) at a moment (aware)."""
        local = moment.astimezone(UTC) - timedelta(minutes=self.person.timezone_offset)
        return local.replace(tzinfo=None)


@dataclass(frozen=True)
class SeededTask:
    """A task of the demo account.

    Attributes:
        user_task_execution_pk: its execution.
        title, shows: as `stories.Story`.
        expected: for each expected to-do, a fragment of its description; empty if none is expected.
    """

    user_task_execution_pk: int
    title: str
    shows: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """The demo account.

    Attributes:
        claire: the user whom the demo follows.
        hugo: a French-speaking colleague in Montréal.
        tasks: Claire's tasks of today. The last two are not due.
        morning: the next working day on Claire's calendar.
        todos: keys of the earlier to-dos, by their descriptions.
        notes: key of the document that Mojo learned from Claire.
    """

    claire: SeededUser
    hugo: SeededUser
    tasks: list[SeededTask]
    morning: date
    todos: dict[str, int]
    notes: int


type Embed = Callable[[Sequence[str]], list[list[float]]]


def seed(connection: Connection, now: datetime, embed: Embed | None = None) -> Account:
    """Insert the demo account into a Mojodex database, a new one at each call. Does not commit.

    Claire finished her tasks 20 to 90 minutes before `now`, except one that is two minutes old. The to-dos of
    her earlier tasks were extracted. Two of them are overdue, one of which was moved five times. Hugo has
    to-dos for the same morning, and two that are overdue.

    Args:
        connection: to a database with the Mojodex tables.
        now: an aware moment.
        embed: makes the vectors of Claire's document. Without it, the document has no chunks.
    """
    claire, hugo = (_Seeder(connection, now, person) for person in (stories.CLAIRE, stories.HUGO))
    today = claire.user.wall_clock(now).date()
    todos: dict[str, int] = {}
    executions = []
    for seeder, its_stories in ((claire, stories.earlier(today)), (hugo, stories.hugos(today))):
        for story in its_stories:
            executions.append(seeder.execution(story))
            todos.update(seeder.extracted(executions[-1], story))
    tasks = [
        SeededTask(
            claire.execution(story, executions[0] if story.continues_earlier else None),
            story.title,
            story.shows,
            story.expected,
        )
        for story in stories.stories(now)
    ]
    notes = claire.document(stories.NOTES_NAME)
    if embed:
        claire.chunks(notes, stories.NOTES, embed(stories.NOTES))
    return Account(claire.user, hugo.user, tasks, working_day(today, 1), todos, notes)


def move(connection: Connection, todo_pk: int, day: date, reason: str, moment: datetime) -> None:
    """Move a to-do to a day as reschedule_todo does, at `moment` (aware). Does not commit."""
    connection.execute(
        text(
            "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date,"
            " reschedule_justification) VALUES (:todo_pk, :day, :moment, :reason)"
        ),
        {"todo_pk": todo_pk, "day": day, "moment": moment, "reason": reason or None},
    )


class _Seeder:
    """Insert the rows of one user."""

    def __init__(self, connection: Connection, now: datetime, person: Person) -> None:
        self.connection = connection
        self.now = now.astimezone(UTC)
        self.user = SeededUser(str(uuid.uuid4()), person)
        self._write(
            "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, goal,"
            " company_description, creation_date)"
            " VALUES (:user_id, :email, :name, :language, :timezone_offset, :goal, :company, :since)",
            user_id=self.user.user_id,
            since=self.now - timedelta(days=90),
            **vars(person),
        )
        self.user_tasks = {name: self._user_task(name, task) for name, task in stories.TASKS.items()}

    def _write(self, statement: str, **values: Any) -> None:
        self.connection.execute(text(statement), values)

    def _key(self, statement: str, **values: Any) -> int:
        """Insert one row and return its key."""
        key: int = self.connection.execute(text(statement), values).scalar_one()
        return key

    def _user_task(self, name: str, definition: str) -> int:
        task_pk = self._key(
            "INSERT INTO md_task (name_for_system, definition_for_system) VALUES (:name, :definition)"
            " RETURNING task_pk",
            name=name,
            definition=definition,
        )
        return self._key(
            "INSERT INTO md_user_task (user_id, task_fk) VALUES (:user_id, :task_pk) RETURNING user_task_pk",
            user_id=self.user.user_id,
            task_pk=task_pk,
        )

    def execution(self, story: Story, continues: int | None = None) -> int:
        """Insert a story's session, messages and result, and return the key of its execution."""
        finished = self.now - timedelta(minutes=story.minutes_ago)
        # A message each minute, and the result with the last one.
        begun = finished - timedelta(minutes=len(story.messages) - 1)
        session_id = str(uuid.uuid4())
        self._write(
            "INSERT INTO md_session (session_id, user_id, creation_date, language, platform, title,"
            " starting_mode) VALUES (:session_id, :user_id, :begun, :language, 'webapp', :title, 'chat')",
            session_id=session_id,
            user_id=self.user.user_id,
            begun=begun,
            language=story.language,
            title=story.title,
        )
        for minute, said in enumerate(story.messages):
            mojo = minute % 2 == 1
            message = (
                {"text": said, "text_with_tags": f"<message>{said}</message>"} if mojo else {"text": said}
            )
            self._write(
                "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
                " VALUES (:session_id, CAST(:sender AS md_sender_), CAST(:message AS json), :at, :at)",
                session_id=session_id,
                sender="mojo" if mojo else "user",
                message=json.dumps(message),
                at=begun + timedelta(minutes=minute),
            )
        execution_pk = self._key(
            "INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values, start_date,"
            " title, predefined_action_from_user_task_execution_fk, deleted_by_user)"
            " VALUES (:user_task_pk, :session_id, CAST('[]' AS json), :begun, :title, :continues, :deleted)"
            " RETURNING user_task_execution_pk",
            user_task_pk=self.user_tasks[story.task],
            session_id=session_id,
            begun=begun.replace(tzinfo=None),
            title=story.title,
            continues=continues,
            deleted=finished + timedelta(minutes=1) if story.deleted else None,
        )
        produced_text_pk = self._key(
            "INSERT INTO md_produced_text (user_id, user_task_execution_fk, session_id)"
            " VALUES (:user_id, :execution_pk, :session_id) RETURNING produced_text_pk",
            user_id=self.user.user_id,
            execution_pk=execution_pk,
            session_id=session_id,
        )
        self._write(
            "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title)"
            " VALUES (:produced_text_pk, :finished, :production, :title)",
            produced_text_pk=produced_text_pk,
            finished=finished.replace(tzinfo=None),
            production=story.result,
            title=story.title,
        )
        return execution_pk

    def extracted(self, execution_pk: int, story: Story) -> Iterator[tuple[str, int]]:
        """Insert the to-dos of an earlier task, and yield the description and key of each."""
        then = self.now - timedelta(minutes=story.minutes_ago - 10)
        self._write(
            "UPDATE md_user_task_execution SET todos_extracted = :then"
            " WHERE user_task_execution_pk = :execution_pk",
            then=then,
            execution_pk=execution_pk,
        )
        for plan in story.plans:
            yield plan.description, self._todo(execution_pk, plan, then)

    def document(self, name: str) -> int:
        """Insert a document that Mojo learned, without chunks, and return its key."""
        return self._key(
            "INSERT INTO md_document (name, author_user_id, creation_date, document_type)"
            " VALUES (:name, :user_id, :then, 'learned_by_mojo') RETURNING document_pk",
            name=name,
            user_id=self.user.user_id,
            then=(self.now - timedelta(days=20)).replace(tzinfo=None),
        )

    def chunks(self, document_pk: int, chunks: Sequence[str], vectors: Sequence[list[float]]) -> None:
        """Insert the chunks of a document."""
        for index, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True)):
            self._write(
                "INSERT INTO md_document_chunk (document_fk, index, chunk_text, embedding)"
                " VALUES (:document_pk, :index, :chunk, CAST(:vector AS vector))",
                document_pk=document_pk,
                index=index,
                chunk=chunk,
                vector=str(vector),
            )

    def _todo(self, execution_pk: int, plan: Plan, then: datetime) -> int:
        todo_pk = self._key(
            "INSERT INTO md_todo (user_task_execution_fk, description, creation_date, completed)"
            " VALUES (:execution_pk, :description, :then, :completed) RETURNING todo_pk",
            execution_pk=execution_pk,
            description=plan.description,
            then=then,
            completed=self.now - timedelta(hours=1) if plan.completed else None,
        )
        move(self.connection, todo_pk, plan.days[0], "", then)
        for (before, day), reason in zip(pairwise(plan.days), plan.reasons, strict=True):
            # In the night after the planned day.
            move(self.connection, todo_pk, day, reason, self.user.at(before + stories.DAY, time(2)))
        return todo_pk
