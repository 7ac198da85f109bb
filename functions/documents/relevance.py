"""The relevance of chunks: a model judges twenty in a call."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from mojodex.clock import Deadline
from mojodex.errors import PermanentError
from mojodex.model import Model
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.text import well_formed

PROMPT = read_prompt(Path(__file__).with_name("relevance.mpt"))
CHUNKS_PER_CALL = 20
CALLS_AT_ONCE = 5


def _bool_or_none(value: Any) -> Any:
    return value if isinstance(value, bool) else None


# The model's answer. The model gets the JSON schemas of these classes, docstrings included.


class Verdict(BaseModel):
    """Whether the chunk with this number says something."""

    model_config = ConfigDict(extra="forbid")

    chunk: int
    relevant: Annotated[bool | None, BeforeValidator(_bool_or_none)]


class Relevance(BaseModel):
    """One verdict for each chunk."""

    model_config = ConfigDict(extra="forbid")

    verdicts: list[Verdict]


def judge(
    model: Model,
    url: str,
    chunks: Sequence[str],
    deadline: Deadline,
    on_verdicts: Callable[[Sequence[str], Sequence[bool]], None],
) -> None:
    """Judge chunks, and pass on the verdicts as they arrive. A chunk without a verdict is relevant.

    Args:
        model: judges the chunks.
        url: where the text comes from.
        chunks: of one text.
        deadline: when the invocation ends.
        on_verdicts: gets some of the chunks, in order, and whether each is relevant.

    Raises:
        TransientError: as `Model.ask`, after the verdicts until then were passed on.
    """
    ask = partial(_ask, model, url, deadline)
    with ThreadPoolExecutor(max_workers=CALLS_AT_ONCE) as threads:
        for group in batched(batched(chunks, CHUNKS_PER_CALL, strict=False), CALLS_AT_ONCE, strict=False):
            verdicts = [verdict for each in threads.map(ask, group) for verdict in each]
            on_verdicts([chunk for each in group for chunk in each], verdicts)


def _ask(model: Model, url: str, deadline: Deadline, chunks: Sequence[str]) -> list[bool]:
    shown = {"url": url, "chunks": [well_formed(chunk) for chunk in chunks]}
    try:
        answer = model.ask(PROMPT, shown, Relevance, deadline)
    except PermanentError:
        # The model refuses, or answers nonsense: chunks without a verdict are kept.
        count("ChunksNotJudged", len(chunks))
        return [True] * len(chunks)
    irrelevant = {verdict.chunk for verdict in answer.verdicts if verdict.relevant is False}
    return [number not in irrelevant for number in range(1, len(chunks) + 1)]
