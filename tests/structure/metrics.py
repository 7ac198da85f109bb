"""Which metrics the code emits, read from its calls of `count`."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests import ROOT
from tests.structure.template import functions

# What f-strings in `count` stand for: how a job ended (`worker`, `crawl`), and a page (`ingest_page`).
ENDINGS = {
    "Jobs": ("Done", "Failed", "Skipped", "Repeated", "Continued", "Crawled"),
    "Pages": ("Stored", "Unchanged"),
}


@cache
def emitted() -> dict[tuple[str, frozenset[str]], set[str]]:
    """What `count` is called with: name and names of the dimensions, and of which services it can be."""
    services: dict[str, set[str]] = {}
    for function in functions().values():
        folder = function["Handler"].partition(".")[0]
        name = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        services.setdefault(folder, set()).add(name)
    everybody = set().union(*services.values())
    metrics: dict[tuple[str, frozenset[str]], set[str]] = {}
    for path in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared" / "mojodex").rglob("*.py")]:
        process = path.relative_to(ROOT).parts[1]
        of = services.get(process, everybody)
        for name, dimensions, of_another in calls(path):
            metrics.setdefault((name, dimensions), set()).update(everybody if of_another else of)
            if "model" in dimensions:
                # `count` adds these up for the whole stack.
                metrics[name, frozenset({"scope"})] = {"stack"}
    return metrics


def calls(path: Path) -> Iterator[tuple[str, frozenset[str], bool]]:
    """Name and names of the dimensions of a metric that a file counts, and whether it names the service."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count"):
            continue
        named = {str(k.arg) for k in node.keywords if k.arg != "value"}
        dimensions, of_another = frozenset({"service"} | named), "service" in named
        metric = node.args[0]
        if isinstance(metric, ast.Constant):
            yield str(metric.value), dimensions, of_another
        else:
            assert isinstance(metric, ast.JoinedStr), f"{path}:{node.lineno}"
            prefix, ending = metric.values
            assert isinstance(prefix, ast.Constant)
            assert isinstance(ending, ast.FormattedValue)
            endings = ENDINGS[str(prefix.value)]
            yield from ((f"{prefix.value}{end}", dimensions, of_another) for end in endings)
