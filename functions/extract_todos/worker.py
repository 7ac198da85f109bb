"""Extract the to-dos of the task executions in a batch of messages."""

from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from extract_todos.extraction import PROMPT, ExtractionSettings, extract_todos
from extract_todos.message import PROCESS, ExtractTodos
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.spending import Budget
from mojodex.worker import Process, WorkerSettings, run_batch


class Settings(WorkerSettings, ExtractionSettings):
    """Settings of this worker."""


USER_OF = """(
    SELECT user_task.user_id
    FROM md_user_task_execution AS execution
    JOIN md_user_task AS user_task ON user_task.user_task_pk = execution.user_task_fk
    WHERE execution.user_task_execution_pk = CAST(:subject AS integer)
)"""
settings = Settings.from_environment()
database = Database(settings)
circuits = Circuits(database)
budget = Budget(database, settings, circuits)
settings.models_for(PROMPT)
model = Model(settings, circuits)


def _run(message: ExtractTodos, job: Job, deadline: Deadline) -> None:
    extract_todos(database, model.paid_by(job), settings, message.user_task_execution_pk, job, deadline)


process = Process(PROCESS, ExtractTodos, seconds_needed=20, run=_run, budget=budget, user_of=USER_OF)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `ExtractTodos` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
