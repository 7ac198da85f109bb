"""Demo data: an account whose finished tasks show, one each, what extract_todos must get right."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

EARLIER_TITLE = "First call with Oakfield Dairies"
LISTED_TODO = "Book the tasting room for Oakfield Dairies"

TASKS = {
    "prepare_meeting_recap": "The user needs a recap of a meeting: decisions, open points and next steps.",
    "write_sales_follow_up": "The user needs a follow-up e-mail after a meeting with a prospect or a "
    "customer.",
    "draft_blog_article": "The user needs the draft of an article for the company's blog.",
}


@dataclass(frozen=True)
class SeededTask:
    """A task of the demo account.

    Attributes:
        user_task_execution_pk: its execution.
        title: what the user calls it.
        shows: the one thing that it is there for, as a short sentence.
        expected: for each to-do that must come out, a fragment of its description; empty if none may.
    """

    user_task_execution_pk: int
    title: str
    shows: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class _Story:
    """A task before it is in the database; `messages` begin with the user's and alternate with Mojo's."""

    task: str
    title: str
    shows: str
    messages: Sequence[str]
    result: str
    minutes_ago: int
    expected: tuple[str, ...] = ()
    language: str = "en"
    continues_earlier: bool = False
    deleted: bool = False


def _stories(now: datetime) -> list[_Story]:
    meeting = now - timedelta(days=16)
    promised = f"{now - timedelta(days=9):%-d %B %Y}"
    return [
        _Story(
            task="write_sales_follow_up",
            title="Follow-up to Harbour Lane Hotels",
            shows="One step, with its date.",
            messages=(
                "I just met Martin Keller, purchasing manager of Harbour Lane Hotels. "
                "He liked the samples but finds the delivery fee too high.",
                "Good to hear. Did you agree on how it goes on?",
                "Yes. I'll send the revised quote to Martin by Friday. He decides at the end of the month.",
                "Thank you. Here is a follow-up that thanks him and announces the quote.",
            ),
            result="Hello Martin,\n\nThank you for your time today. I am glad that the samples convinced "
            "you. "
            "You will find a new proposal for the delivery fee in my next message.\n\nBest regards,\nClaire",
            minutes_ago=85,
            expected=("revised quote to Martin",),
        ),
        _Story(
            task="prepare_meeting_recap",
            title="Recap of the spring range kick-off",
            shows="Several steps, two of them in one sentence.",
            messages=(
                "Recap of the kick-off for the spring range please. We were four: Nadia (design), Tom "
                "(plant), "
                "Julie (legal) and me. We keep three flavours out of five, and the launch stays in March.",
                "Noted. What are the next steps?",
                "Tom checks the capacity of line 2.\n"
                "I will brief the design agency tomorrow, and I need to call Nadia about the labels on "
                "Monday.\n"
                "I promised to share the cost model with Tom in two weeks.",
                "Here is your recap with decisions and next steps.",
            ),
            result="Decisions: three flavours, launch in March.\n"
            "Next steps: capacity of line 2 (Tom), agency briefing, labels and cost model (Claire).",
            minutes_ago=78,
            expected=("design agency", "Nadia about the labels", "cost model with Tom"),
        ),
        _Story(
            task="draft_blog_article",
            title="Article: why we went plastic-free",
            shows="No step at all: nothing is the right answer.",
            messages=(
                "Write an article on how we removed plastic from our packaging. Friendly tone, 300 words.",
                "With pleasure. Which figures may I use?",
                "We saved 4 tonnes of film last year, and our customers noticed. Should I say that I will "
                "add more?",
                "Better not: the figure speaks for itself. Here is the draft.",
            ),
            result="Four tonnes lighter\n\nA year ago every box that left our plant was wrapped in film. "
            "Today none is. This is how we got there, and what our customers said about it.",
            minutes_ago=71,
        ),
        _Story(
            task="prepare_meeting_recap",
            title="Recap of the contract review",
            shows="The step is someone else's.",
            messages=(
                "Recap of the contract review with the carrier, short please. We accepted the new fuel "
                "clause "
                "and refused the minimum volume.",
                "Who does what next?",
                "Julie will send the contract to the carrier on Thursday. Nothing on my side.",
                "Here is the recap.",
            ),
            result="Fuel clause accepted, minimum volume refused. Julie sends the contract on Thursday.",
            minutes_ago=64,
        ),
        _Story(
            task="write_sales_follow_up",
            title="Second e-mail to Oakfield Dairies",
            shows="The step is already on the user's list, from the task that this one continues.",
            messages=(
                "Second e-mail to Oakfield Dairies: they want to come and taste the new range with five "
                "people.",
                "Shall the e-mail propose a place?",
                "Our own place. As I said last time, I have to book the tasting room for Oakfield Dairies.",
                "Here is the e-mail.",
            ),
            result="Dear team,\n\nWe would be delighted to have the five of you at our house for a tasting. "
            "Please tell me which afternoon suits you best.\n\nBest regards,\nClaire",
            minutes_ago=57,
            continues_earlier=True,
        ),
        _Story(
            task="prepare_meeting_recap",
            title="Compte rendu du point fournisseurs",
            shows="A French conversation gives French to-dos.",
            language="fr",
            messages=(
                "Fais-moi le compte rendu du point fournisseurs de ce matin. Le prix du verre augmente de 6 "
                "% "
                "et la Verrerie des Tilleuls propose un contrat de deux ans.",
                "Bien noté. Quelles sont les prochaines étapes ?",
                "Je vais demander une contre-proposition à la Verrerie des Tilleuls vendredi. "
                "J'enverrai la synthèse à Camille demain matin. Paul prépare le budget.",
                "Voici le compte rendu.",
            ),
            result="Hausse du verre : 6 %. Contrat de deux ans proposé par la Verrerie des Tilleuls. "
            "Budget : Paul. Contre-proposition et synthèse : Claire.",
            minutes_ago=50,
            expected=("contre-proposition à la Verrerie des Tilleuls", "synthèse à Camille"),
        ),
        _Story(
            task="prepare_meeting_recap",
            title="Recap of the steering committee",
            shows="The promised day is already past: it falls on the next working day.",
            messages=(
                "I never got round to the recap of our last steering committee, here are my notes. "
                f"Committee of {meeting:%-d %B}: budget approved, hiring postponed.",
                "Better late than never. Were there next steps?",
                "This is what I wrote down that day: I will send the minutes to the committee by "
                f"{promised}.",
                "Here is the recap.",
            ),
            result="Budget approved, hiring postponed to the next quarter.",
            minutes_ago=43,
            expected=("minutes to the committee",),
        ),
        _Story(
            task="write_sales_follow_up",
            title="Thank-you note to Bellweather Cafés",
            shows="Still being edited: not due yet.",
            messages=(
                "A thank-you note to Bellweather Cafés for their first order, from me.",
                "Anything to announce?",
                "I'll visit their new shop next week.",
                "Here is the note.",
            ),
            result="Dear all,\n\nThank you for your trust. Your first order is on its way.\n\nClaire",
            minutes_ago=2,
        ),
        _Story(
            task="draft_blog_article",
            title="Article: our summer interns",
            shows="Deleted by the user: left alone.",
            messages=(
                "A short article about our summer interns.",
                "Whom shall I mention?",
                "All three. I will ask them for a photo tomorrow.",
                "Here is the draft.",
            ),
            result="Three interns, one summer, and a new label that they designed themselves.",
            minutes_ago=30,
            deleted=True,
        ),
    ]


def _earlier(now: datetime) -> _Story:
    return _Story(
        task="write_sales_follow_up",
        title=EARLIER_TITLE,
        shows="",
        messages=(
            "A follow-up to my first call with Oakfield Dairies, who look for a supplier of jams.",
            "What did you agree on?",
            "A tasting. I have to book the tasting room for Oakfield Dairies.",
            "Here is the follow-up.",
        ),
        result="Dear team,\n\nThank you for the call. We look forward to a tasting together.\n\nClaire",
        minutes_ago=3 * 24 * 60,
    )


def seed(connection: Connection, now: datetime) -> list[SeededTask]:
    """Put the demo account into a Mojodex database; each call makes a new account. Does not commit.

    The user lives two hours ahead of UTC. The tasks were finished 20 to 90 minutes before `now`, but one
    that is two minutes old; an earlier one, three days old and extracted, is not returned.

    Args:
        connection: to a database with the Mojodex tables.
        now: an aware moment.

    Returns:
        the tasks; the last two of them are not due.
    """
    return _Seeder(connection, now).run()


class _Seeder:
    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now.astimezone(UTC)
        self.user_id = str(uuid.uuid4())

    def run(self) -> list[SeededTask]:
        self._write(
            "INSERT INTO md_user (user_id, email, name, language_code, timezone_offset, goal, "
            "company_description, "
            "creation_date) VALUES (:user_id, :email, :name, 'en', -120, :goal, :company, :since)",
            user_id=self.user_id,
            email="claire@example.com",
            name="Claire Fontaine",
            goal="Win ten independent hotels and cafés as customers this year.",
            company="Fontaine Preserves makes organic jams and syrups and sells them to hotels, cafés and "
            "delis.",
            since=self.now - timedelta(days=90),
        )
        user_tasks = {name: self._user_task(name, definition) for name, definition in TASKS.items()}
        story = _earlier(self.now)
        earlier = self._execution(story, user_tasks[story.task])
        self._extracted(earlier)
        return [
            SeededTask(
                self._execution(story, user_tasks[story.task], earlier if story.continues_earlier else None),
                story.title,
                story.shows,
                story.expected,
            )
            for story in _stories(self.now)
        ]

    def _write(self, statement: str, **values: Any) -> None:
        self.connection.execute(text(statement), values)

    def _key(self, statement: str, **values: Any) -> int:
        """Insert one row and return its key."""
        key: int = self.connection.execute(text(statement), values).scalar_one()
        return key

    def _user_task(self, name: str, definition: str) -> int:
        task_pk = self._key(
            "INSERT INTO md_task (name_for_system, definition_for_system) VALUES (:name, :definition) "
            "RETURNING task_pk",
            name=name,
            definition=definition,
        )
        return self._key(
            "INSERT INTO md_user_task (user_id, task_fk) VALUES (:user_id, :task_pk) RETURNING user_task_pk",
            user_id=self.user_id,
            task_pk=task_pk,
        )

    def _execution(self, story: _Story, user_task_pk: int, continues: int | None = None) -> int:
        """The story with its session, messages and result; returns the key of its execution."""
        finished = self.now - timedelta(minutes=story.minutes_ago)
        # A message a minute, the result with the last one.
        begun = finished - timedelta(minutes=len(story.messages) - 1)
        session_id = str(uuid.uuid4())
        self._write(
            "INSERT INTO md_session (session_id, user_id, creation_date, language, platform, title, "
            "starting_mode) "
            "VALUES (:session_id, :user_id, :begun, :language, 'webapp', :title, 'chat')",
            session_id=session_id,
            user_id=self.user_id,
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
                "INSERT INTO md_message (session_id, sender, message, creation_date, message_date) "
                "VALUES (:session_id, CAST(:sender AS md_sender_), CAST(:message AS json), :at, :at)",
                session_id=session_id,
                sender="mojo" if mojo else "user",
                message=json.dumps(message),
                at=begun + timedelta(minutes=minute),
            )
        execution_pk = self._key(
            "INSERT INTO md_user_task_execution (user_task_fk, session_id, json_input_values, start_date, "
            "title, "
            "predefined_action_from_user_task_execution_fk, deleted_by_user) VALUES (:user_task_pk, "
            ":session_id, "
            "CAST('[]' AS json), :begun, :title, :continues, :deleted) RETURNING user_task_execution_pk",
            user_task_pk=user_task_pk,
            session_id=session_id,
            begun=begun.replace(tzinfo=None),
            title=story.title,
            continues=continues,
            deleted=finished + timedelta(minutes=1) if story.deleted else None,
        )
        produced_text_pk = self._key(
            "INSERT INTO md_produced_text (user_id, user_task_execution_fk, session_id) "
            "VALUES (:user_id, :execution_pk, :session_id) RETURNING produced_text_pk",
            user_id=self.user_id,
            execution_pk=execution_pk,
            session_id=session_id,
        )
        self._write(
            "INSERT INTO md_produced_text_version (produced_text_fk, creation_date, production, title) "
            "VALUES (:produced_text_pk, :finished, :production, :title)",
            produced_text_pk=produced_text_pk,
            finished=finished.replace(tzinfo=None),
            production=story.result,
            title=story.title,
        )
        return execution_pk

    def _extracted(self, execution_pk: int) -> None:
        """What the extraction left behind for the earlier task: an open to-do, due in two days."""
        then = self.now - timedelta(days=3, minutes=-10)
        self._write(
            "UPDATE md_user_task_execution SET todos_extracted = :then WHERE user_task_execution_pk = "
            ":execution_pk",
            then=then,
            execution_pk=execution_pk,
        )
        todo_pk = self._key(
            "INSERT INTO md_todo (user_task_execution_fk, description, creation_date) "
            "VALUES (:execution_pk, :description, :then) RETURNING todo_pk",
            execution_pk=execution_pk,
            description=LISTED_TODO,
            then=then,
        )
        self._write(
            "INSERT INTO md_todo_scheduling (todo_fk, scheduled_date, creation_date) VALUES (:todo_pk, "
            ":day, :then)",
            todo_pk=todo_pk,
            day=self.now.date() + timedelta(days=2),
            then=then,
        )
