"""Update the documents that a batch of messages names."""

from datetime import datetime
from typing import Any
from zlib import crc32

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from documents.message import UPDATE_DOCUMENT, UpdateDocument
from documents.relevance import PROMPT
from documents.update_document.update import UpdatingSettings, update_document
from mojodex.circuit import Circuits
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel
from mojodex.jobs import Job
from mojodex.model import Model
from mojodex.observability import logger
from mojodex.spending import Budget
from mojodex.worker import Process, WorkerSettings, run_batch


class Settings(WorkerSettings, UpdatingSettings):
    """Settings of this worker."""


settings = Settings.from_environment()
database = Database(settings)
circuits = Circuits(database)
budget = Budget(database, settings, circuits)
settings.models_for(PROMPT)
model = Model(settings, circuits)
embedding_model = EmbeddingModel(settings, circuits)


def _run(message: UpdateDocument, job: Job, deadline: Deadline) -> str:
    paid = model.paid_by(job), embedding_model.paid_by(job)
    return update_document(database, *paid, settings, message, job, deadline)


def _occasion(message: UpdateDocument, sent: datetime) -> str:
    moment = sent.isoformat(timespec="milliseconds")
    # The hash tells two editions of the same millisecond apart.
    return f"{moment} {crc32(message.edition.encode()):08x}" if message.edition else moment


process = Process(
    UPDATE_DOCUMENT, UpdateDocument, seconds_needed=60, run=_run, occasion=_occasion, budget=budget
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Run a batch of `UpdateDocument` messages from SQS, and return the ids of those to retry."""
    return run_batch(event, context, process, database, settings)
