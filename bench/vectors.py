"""`python -m bench.vectors`: compare bulk inserts of chunks with their vectors against COPY.

Three ways take turns, each in one transaction that is rolled back: the functions' insert
(`documents.document_store`), the same insert with pgvector's own conversion, and COPY, which is the limit.
Prints a table and writes bench/results/vectors.json.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from itertools import batched
from typing import Any

from sqlalchemy import create_engine, insert, text
from sqlalchemy.orm import Session

from bench import database
from bench.database import Cloud, Filled, Verdict
from bench.results import write_json
from documents.document_store import ROWS_PER_INSERT, as_vector
from local.runtime import postgres
from mojodex.schema import MdDocumentChunk

# Share of COPY's rows per second.
BAR = 0.7
ROUNDS = 7

type Chunk = dict[str, Any]


def _insert(value: Callable[[Any], Any], session: Session, chunks: Sequence[Chunk]) -> None:
    rows = [chunk | {"embedding": value(chunk["embedding"])} for chunk in chunks]
    for some in batched(rows, ROWS_PER_INSERT, strict=False):
        session.execute(insert(MdDocumentChunk).values(list(some)))


def _copy(session: Session, chunks: Sequence[Chunk]) -> None:
    lines = (
        f"{chunk['index']}\t1\t{chunk['index']}\t{chunk['chunk_text']}\t{chunk['embedding']}\n"
        for chunk in chunks
    )
    cursor: Any = session.connection().connection.cursor()
    cursor.execute(
        "COPY md_document_chunk (document_chunk_pk, document_fk, index, chunk_text, embedding) FROM STDIN",
        stream=BytesIO("".join(lines).encode()),
    )


WAYS: dict[str, Callable[[Session, Sequence[Chunk]], None]] = {
    "documents.document_store": partial(_insert, as_vector),
    "pgvector's processor": partial(_insert, list),
    "COPY": _copy,
}


def _run(arguments: argparse.Namespace, server: postgres.Database, cloud: Cloud) -> list[Verdict]:
    filled = Filled.create(server, "vectors", arguments.rows, cloud)
    engine = create_engine(filled.database.url)
    numbers = random.Random(1)
    chunks: list[Chunk] = [
        {
            "document_fk": 1,
            "index": index,
            "chunk_text": "word " * 200,
            "embedding": [round(numbers.uniform(-1, 1), 9) for _ in range(1536)],
        }
        for index in range(arguments.rows)
    ]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            with Session(engine) as session:
                session.execute(text("SET session_replication_role = replica"))
                began, processor = time.perf_counter(), time.process_time()
                way(session, chunks)
                took = time.perf_counter() - began, time.process_time() - processor
                seconds[name].append(took)
    engine.dispose()
    filled.engine.dispose()
    found = {}
    for name, times in seconds.items():
        wall = statistics.median(one[0] for one in times)
        processor = statistics.median(one[1] for one in times)
        found[name] = {
            "rows_per_second": arguments.rows / wall,
            "client_ms_per_row": 1000 * processor / arguments.rows,
        }
        print(f"{name:24}{arguments.rows / wall:>8,.0f} rows/s{1000 * processor / arguments.rows:>8.2f} ms")
    write_json("vectors", found)
    share = found["documents.document_store"]["rows_per_second"] / found["COPY"]["rows_per_second"]
    return [(f"bulk insert: {share:.0%} of COPY's rows a second, bar {BAR:.0%}", share >= BAR)]


def main() -> int:
    """Measure, print and judge. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.vectors", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000, metavar="N", help="chunks (%(default)s)")
    return database.run_bench("vectors", partial(_run, parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
