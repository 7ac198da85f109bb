"""Make documents of the staged pages that a batch of messages names."""

from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from documents.ingest_page.ingestion import end_page_of, ingest_page
from documents.message import INGEST_PAGE, IngestPage
from documents.relevance import PROMPT
from documents.thinking import ThinkingSettings
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.spending import Budget
from mojodex.worker import Process, WorkerSettings, run_batch


class Settings(WorkerSettings, ThinkingSettings):
    """Settings of this worker."""


USER_OF = (
    "(SELECT page.user_id FROM md_background_page AS page WHERE page.page_pk = CAST(:subject AS integer))"
)
settings = Settings.from_environment()
database = Database(settings)
circuits = Circuits(database)
budget = Budget(database, settings, circuits)
settings.models_for(PROMPT)
model = Model(settings, circuits)
embedding_model = EmbeddingModel(settings, circuits)


def _run(message: IngestPage, job: Job, deadline: Deadline) -> None:
    ingest_page(database, model.paid_by(job), embedding_model.paid_by(job), message, job, deadline)


process = Process(
    INGEST_PAGE,
    IngestPage,
    seconds_needed=50,
    run=_run,
    budget=budget,
    cleanup=end_page_of,
    user_of=USER_OF,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `IngestPage` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
