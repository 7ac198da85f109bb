"""`python -m bench.imports`: what the import of each handler costs at a cold start, from the built artifacts.

Each measurement is a fresh process that sees nothing but the artifact. A worker is compared with the
libraries that it cannot do without, and one with itself without compiled bytecode; all variants take turns,
so that the machine's moods fall on all of them.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import ROOT

BUILD = ROOT / ".aws-sam" / "local" / "build"
ROUNDS = 9
BAR = 1.15
# What every worker uses of its libraries: the modules that it imports itself. And what is added to that: to
# ask a model, to write a mail, to take a page apart, to fetch one.
LIBRARIES = (
    "boto3, botocore.config, botocore.exceptions, pydantic, sqlalchemy, sqlalchemy.orm,"
    " sqlalchemy.dialects.postgresql, pgvector.sqlalchemy, aws_lambda_powertools,"
    " aws_lambda_powertools.metrics, aws_lambda_powertools.utilities.batch,"
    " aws_lambda_powertools.utilities.parameters"
)
MODEL = "openai, openai.types.chat, httpx2, jinja2"
MAIL = "itsdangerous, email.message, email.header, email.headerregistry"
PAGE = "lxml.etree, lxml.html, w3lib.encoding, w3lib.url, publicsuffixlist"
FETCH = "requests, requests_hardened.ip_filter, protego"
# What the template gives to the functions, as far as they need it to start.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "extract_todos",
    "DATABASE_SECRET_ARN": "-",
    "QUEUE_URL": "-",
    "DEAD_LETTER_QUEUE_URL": "-",
    "LEASE_SECONDS": "150",
    "LLM_SECRET_ARN": "-",
    "LLM_MODELS": "gpt-4.1",
    "CONVERSATION_TOKEN_BUDGET": "16000",
    "MINIMUM_AGE_MINUTES": "10",
    "LOOK_BACK_DAYS": "7",
    "NIGHT_FROM_HOUR": "1",
    "NIGHT_UNTIL_HOUR": "6",
    "LOAD_CAP": "8",
    "SLIPPING_AFTER_MOVES": "5",
    "DAILY_TODO_EMAIL_TIME": "8",
    "EMAIL_SENDER": "mojo@example.com",
    "SES_CONFIGURATION_SET": "-",
    "MOJODEX_WEBAPP_URI": "https://app.example.com",
    "EMBEDDING_MODEL": "-",
    "CREATE_FROM_WEBSITE_QUEUE_URL": "-",
    "INGEST_PAGE_QUEUE_URL": "-",
    "CRAWL_PAGE_LIMIT": "100",
    "CRAWL_DEPTH_LIMIT": "3",
    "CRAWL_MINUTES_LIMIT": "60",
    "PAGE_BYTES_LIMIT": "5000000",
    "CONTACT_URL": "https://example.com",
}
PROGRAM = """
import sys, time
sys.path[:0] = {paths!r}
began = time.process_time()
import {modules}
print(time.process_time() - began)
"""


def seconds(modules: str, *paths: Path) -> float:
    """Processor seconds that one import takes in a fresh process."""
    program = PROGRAM.format(paths=[str(path) for path in paths], modules=modules)
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    """Measure and print; 1 if a worker is over its bar."""
    layer, code = BUILD / "MojodexLayer" / "python", BUILD / "ExtractTodosWorkerFunction"
    if not layer.is_dir():
        sys.exit("nothing is built: run 'make build-local'")
    with tempfile.TemporaryDirectory() as scratch:
        bare = Path(scratch)
        for directory in (layer, code):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(directory, bare / directory.name, ignore=ignore)
        # All functions have the same code.
        variants: dict[str, tuple[str, *tuple[Path, ...]]] = {
            "extract_todos worker": ("extract_todos.worker", layer, code),
            "reschedule_todo worker": ("reschedule_todo.worker", layer, code),
            "its libraries": (f"{LIBRARIES}, {MODEL}", layer),
            "events worker": ("events.worker", layer, code),
            "events libraries": (f"{LIBRARIES}, {MODEL}, {MAIL}", layer),
            "create_from_website worker": ("documents.create_from_website", layer, code),
            "create_from_website libraries": (f"{LIBRARIES}, {PAGE}, {FETCH}", layer),
            "ingest_page worker": ("documents.ingest_page", layer, code),
            "ingest_page libraries": (f"{LIBRARIES}, {MODEL}, {PAGE}", layer),
            "update_document worker": ("documents.update", layer, code),
            "update_document libraries": (f"{LIBRARIES}, {MODEL}, {PAGE}, {FETCH}", layer),
            "worker without bytecode": ("extract_todos.worker", bare / layer.name, bare / code.name),
            "extract_todos schedule": ("extract_todos.schedule", layer, code),
            "reschedule_todo schedule": ("reschedule_todo.schedule", layer, code),
            "events schedule": ("events.schedule", layer, code),
            "documents schedule": ("documents.schedule", layer, code),
            "migrate": ("migrate.handler", layer, code),
            "boto3 alone": ("boto3", layer),
        }
        figures: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(ROUNDS):
            for name, (modules, *paths) in variants.items():
                figures[name].append(seconds(modules, *paths))

    print(f"Import, milliseconds of processor time, {ROUNDS} fresh processes each, in turns")
    print(f"{'':32}{'median':>8}{'least':>8}{'most':>8}")
    for name, times in figures.items():
        row = [statistics.median(times), min(times), max(times)]
        print(f"{name:32}" + "".join(f"{value * 1000:8.0f}" for value in row))
    failed = False
    for worker, libraries in (
        ("extract_todos worker", "its libraries"),
        ("reschedule_todo worker", "its libraries"),
        ("events worker", "events libraries"),
        *(
            (f"{name} worker", f"{name} libraries")
            for name in ("create_from_website", "ingest_page", "update_document")
        ),
    ):
        pairs = zip(figures[worker], figures[libraries], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        print(
            f"{'ok' if ratio <= BAR else 'FAIL'}  {worker} / {libraries}, median of {ROUNDS} pairs:"
            f" {ratio:.2f} (bar {BAR})"
        )
        failed |= ratio > BAR
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
