"""Move the overdue to-dos in a batch of messages."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.spending import Budget
from mojodex.worker import Process, WorkerSettings, run_batch
from reschedule_todo.message import PROCESS, RescheduleTodo
from reschedule_todo.rescheduling import PROMPT, ReschedulingSettings, local_date, reschedule_todo


class Settings(WorkerSettings, ReschedulingSettings):
    """Settings of this worker."""


USER_OF = """(
    SELECT user_task.user_id
    FROM md_todo AS todo
    JOIN md_user_task_execution AS execution ON execution.user_task_execution_pk = todo.user_task_execution_fk
    JOIN md_user_task AS user_task ON user_task.user_task_pk = execution.user_task_fk
    WHERE todo.todo_pk = CAST(:subject AS integer)
)"""
settings = Settings.from_environment()
database = Database(settings)
circuits = Circuits(database)
budget = Budget(database, settings, circuits)
settings.models_for(PROMPT)
model = Model(settings, circuits)


def _run(message: RescheduleTodo, job: Job, deadline: Deadline) -> None:
    reschedule_todo(database, model.paid_by(job), settings, message.todo_pk, job, deadline)


def _occasion(message: RescheduleTodo, sent: datetime) -> str:
    day = message.local_date or database.with_db_session(
        local_date, message.todo_pk, sent, settings.default_timezone_offset
    )
    return day.isoformat()


process = Process(
    PROCESS,
    RescheduleTodo,
    seconds_needed=20,
    run=_run,
    occasion=_occasion,
    budget=budget,
    user_of=USER_OF,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `RescheduleTodo` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
