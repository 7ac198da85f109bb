"""Judge new chunks and embed the relevant ones, with no session open meanwhile."""

from collections.abc import Sequence

from documents.document_store import Known, Thought, chunk_hash
from documents.recipe import model_of
from documents.relevance import judge
from mojodex import jobs
from mojodex.clock import Deadline
from mojodex.database import Database
from mojodex.embeddings import EmbeddingModel, EmbeddingSettings
from mojodex.model import Model, ModelSettings


class ThinkingSettings(ModelSettings, EmbeddingSettings):
    """Settings of the models that `think` calls."""


def think(
    database: Database,
    model: Model,
    embedding_model: EmbeddingModel,
    job: jobs.Job,
    url: str,
    chunks: Sequence[str],
    known: Known,
    deadline: Deadline,
) -> Thought:
    """Judge the new chunks of a document, and embed the relevant ones.

    The ledger keeps verdicts, so that they are not paid for again when a later call fails.

    Args:
        database: has the ledger.
        model: judges the chunks.
        embedding_model: embeds them.
        job: held by this invocation.
        url: where the text comes from.
        chunks: of the whole text.
        known: the state of the document.
        deadline: when the invocation ends.

    Raises:
        TransientError, PermanentError: as `relevance.judge`, `EmbeddingModel.embed`, `jobs.save_progress`.
    """
    verdicts: dict[str, bool] = dict((job.progress or {}).get("verdicts", {}))

    def save_verdicts(group: Sequence[str], relevant: Sequence[bool]) -> None:
        verdicts.update(zip(map(chunk_hash, group), relevant, strict=True))
        # They are paid for: a short outage of the database must not lose them.
        database.with_db_session_patiently(deadline, jobs.save_progress, job, {"verdicts": verdicts})

    hashes = {chunk_hash(chunk): chunk for chunk in chunks}
    new = {each: chunk for each, chunk in hashes.items() if each not in known.stored | known.left_out}
    judge(model, url, [chunk for each, chunk in new.items() if each not in verdicts], deadline, save_verdicts)
    left_out = {each for each in hashes if each in known.left_out or not verdicts.get(each, True)}
    # Vectors of two models cannot be compared, so another model embeds all chunks again.
    is_same_model = model_of(known.recipe) in (None, embedding_model.name)
    embedded = known.stored if is_same_model else frozenset()
    wanted = {each: chunk for each, chunk in hashes.items() if each not in left_out | embedded}
    vectors = embedding_model.embed(list(wanted.values()), deadline)
    return Thought(frozenset(left_out), dict(zip(wanted, vectors, strict=True)))
