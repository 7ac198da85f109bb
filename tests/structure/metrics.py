"""The metrics that the code emits, read from its calls of `count`."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests import ROOT
from tests.structure.template import functions

# Values of f-strings in `count`: outcomes of a job (`worker`, `crawl`), of a page (`ingest_page`), of a mail.
ENDINGS = {
    "Jobs": ("Done", "Failed", "Skipped", "Repeated", "Continued", "Crawled"),
    "Pages": ("Stored", "Unchanged"),
    # SES's events about mails (`feedback.FACTS`).
    "Emails": ("Complained", "Bounced", "Rejected", "Delivered", "SoftBounced"),
}


@cache
def emitted() -> dict[tuple[str, frozenset[str]], set[str]]:
    """Return each metric by its name and dimensions, with the services that can emit it."""
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
        for name, dimensions, service in calls(path):
            named = everybody if service is None else {service} if service else of
            metrics.setdefault((name, dimensions), set()).update(named)
            if "model" in dimensions:
                # `count` also sums these for the whole stack.
                metrics[name, frozenset({"scope"})] = {"stack"}
    return metrics


def calls(path: Path) -> Iterator[tuple[str, frozenset[str], str | None]]:
    """Yield name, dimensions and service of each metric that a file counts.

    The service is '' for the function's own, and None if it is a variable.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count"):
            continue
        named = {str(k.arg): k.value for k in node.keywords if k.arg != "value"}
        dimensions = frozenset({"service", *named})
        service = getattr(named.get("service", ast.Constant("")), "value", None)
        metric = node.args[0]
        if isinstance(metric, ast.Constant):
            yield str(metric.value), dimensions, service
        else:
            assert isinstance(metric, ast.JoinedStr), f"{path}:{node.lineno}"
            prefix, ending = metric.values
            assert isinstance(prefix, ast.Constant)
            assert isinstance(ending, ast.FormattedValue)
            endings = ENDINGS[str(prefix.value)]
            yield from ((f"{prefix.value}{end}", dimensions, service) for end in endings)
