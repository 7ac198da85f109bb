"""`python -m bench.imports`: what the import of each handler costs at a cold start, from the built artifacts.

Each measurement is a fresh process that sees nothing but the artifact. The worker is compared with the
libraries that it cannot do without, and with itself without compiled bytecode; all variants take turns, so
that the machine's moods fall on all of them.
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
ROUNDS = 15
BAR = 1.15
# What a worker uses of its libraries: the modules that it imports itself.
LIBRARIES = (
    "openai, openai.types.chat, boto3, botocore.config, botocore.exceptions, jinja2, pydantic, sqlalchemy,"
    " sqlalchemy.orm, sqlalchemy.dialects.postgresql, aws_lambda_powertools, aws_lambda_powertools.metrics,"
    " aws_lambda_powertools.utilities.batch, aws_lambda_powertools.utilities.parameters"
)
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
    """Measure and print; 1 if the worker is over its bar."""
    layer, worker = BUILD / "MojodexLayer" / "python", BUILD / "ExtractTodosWorkerFunction"
    if not layer.is_dir():
        sys.exit("nothing is built: run 'make build-local'")
    with tempfile.TemporaryDirectory() as scratch:
        bare = Path(scratch)
        for directory in (layer, worker):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(directory, bare / directory.name, ignore=ignore)
        variants: dict[str, tuple[str, *tuple[Path, ...]]] = {
            "worker": ("extract_todos.worker", layer, worker),
            "its libraries": (LIBRARIES, layer),
            "worker without bytecode": ("extract_todos.worker", bare / layer.name, bare / worker.name),
            "schedule": ("extract_todos.schedule", layer, worker),
            "migrate": ("migrate.handler", layer, worker),
            "boto3 alone": ("boto3", layer),
        }
        figures: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(ROUNDS):
            for name, (modules, *paths) in variants.items():
                figures[name].append(seconds(modules, *paths))

    print(f"Import, milliseconds of processor time, {ROUNDS} fresh processes each, in turns")
    print(f"{'':28}{'median':>8}{'least':>8}{'most':>8}")
    for name, times in figures.items():
        row = [statistics.median(times), min(times), max(times)]
        print(f"{name:28}" + "".join(f"{value * 1000:8.0f}" for value in row))
    pairs = zip(figures["worker"], figures["its libraries"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    verdict = "ok" if ratio <= BAR else "FAIL"
    print(f"{verdict}  worker / its libraries, median of {ROUNDS} pairs: {ratio:.2f} (bar {BAR})")
    return int(ratio > BAR)


if __name__ == "__main__":
    sys.exit(main())
