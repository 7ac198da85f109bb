"""The dashboard shows metrics that there are, with exactly their dimensions, and every one of ours."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.structure.template import functions, resources, sqs_sources, template

OURS = "MojodexBackground"
# What f-strings in `count` stand for: how a job ended (`worker`, `crawl`), and a page (`page_ingestion`).
ENDINGS = {
    "Jobs": ("Done", "Failed", "Skipped", "Repeated", "Continued", "Crawled"),
    "Pages": ("Stored", "Unchanged"),
}
# Dimension, and the attribute of which resource is its value.
AWS = {
    "AWS/SQS": ("QueueName", "AWS::SQS::Queue", ".QueueName"),
    "AWS/Lambda": ("FunctionName", "AWS::Serverless::Function", ""),
    "AWS/SES": ("ses:configuration-set", "AWS::SES::ConfigurationSet", ""),
}
# Amazon SQS, AWS Lambda and Amazon SES developer guides: metrics that have this dimension and no other.
AWS_METRICS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    },
    "AWS/Lambda": {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    "AWS/SES": {"Reputation.BounceRate", "Reputation.ComplaintRate"},
}
SEARCH = re.compile(r"""SEARCH\('\{([\w,]+)\} MetricName="(\w+)"', 'Sum'\)""")


def substituted(text: str) -> str:
    """What !Sub leaves, with the names in place of the values."""
    return re.sub(r"\$\{([^!}]+)\}", r"<\1>", text).replace("${!", "${")


def body() -> str:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    text: str = dashboard["DashboardBody"]["Sub"]
    return text


def widgets() -> list[dict[str, Any]]:
    """The properties of the widgets with metrics."""
    return [w["properties"] for w in json.loads(substituted(body()))["widgets"] if w["type"] == "metric"]


def lines(widget: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric of a widget; a search has dimensions without values."""
    before: list[str] = []
    for line in widget["metrics"]:
        options = line[-1] if isinstance(line[-1], dict) else {}
        if expression := options.get("expression"):
            found = SEARCH.findall(expression)
            assert found, expression
            for schema, name in found:
                namespace, *dimensions = schema.split(",")
                yield namespace, name, dict.fromkeys(dimensions, "")
            continue
        words = [word for word in line if not isinstance(word, dict)]
        before = [before[place] if word == "." else word for place, word in enumerate(words)]
        namespace, name, *rest = before
        yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


@cache
def emitted() -> dict[tuple[str, frozenset[str]], set[str]]:
    """What `count` is called with: name and names of the dimensions, and of which services it can be."""
    services: dict[str, set[str]] = {}
    for function in functions().values():
        folder = function["Handler"].partition(".")[0]
        name = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        services.setdefault(folder, set()).add(name)
    metrics: dict[tuple[str, frozenset[str]], set[str]] = {}
    for path in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared" / "mojodex").rglob("*.py")]:
        process = path.relative_to(ROOT).parts[1]
        of = services.get(process, set().union(*services.values()))
        for name, dimensions in calls(path):
            metrics.setdefault((name, dimensions), set()).update(of)
    return metrics


def calls(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "count"):
            continue
        dimensions = frozenset({"service"} | {str(k.arg) for k in node.keywords if k.arg != "value"})
        metric = node.args[0]
        if isinstance(metric, ast.Constant):
            yield str(metric.value), dimensions
        else:
            assert isinstance(metric, ast.JoinedStr), f"{path}:{node.lineno}"
            prefix, ending = metric.values
            assert isinstance(prefix, ast.Constant)
            assert isinstance(ending, ast.FormattedValue)
            yield from ((f"{prefix.value}{end}", dimensions) for end in ENDINGS[str(prefix.value)])


SHOWN = [metric for widget in widgets() for metric in lines(widget)]


@pytest.mark.parametrize(("namespace", "name", "dimensions"), SHOWN, ids=lambda value: str(value)[:60])
def test_a_metric_on_the_dashboard_exists_with_exactly_these_dimensions(
    namespace: str, name: str, dimensions: dict[str, str]
) -> None:
    if namespace == OURS:
        services = emitted()[name, frozenset(dimensions)]
        assert dimensions["service"] in services | {""}
        return
    dimension, kind, attribute = AWS[namespace]
    assert name in AWS_METRICS[namespace]
    assert list(dimensions) == [dimension]
    assert dimensions[dimension] in {f"<{logical_id}{attribute}>" for logical_id in resources(kind)}


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {(name, frozenset(dimensions)) for namespace, name, dimensions in SHOWN if namespace == OURS}

    assert shown == set(emitted())


def test_what_the_body_refers_to_is_in_the_template() -> None:
    known = {*template()["Resources"], *template()["Parameters"], "AWS::Region"}

    for name in re.findall(r"\$\{([^!}]+)\}", body()):
        assert name.removesuffix(".QueueName") in known


@pytest.mark.parametrize("name", [name for name, _, _ in sqs_sources()])
def test_each_worker_is_shown_against_its_own_timeout(name: str) -> None:
    (widget,) = [
        widget
        for widget in widgets()
        if ("AWS/Lambda", "Duration", {"FunctionName": f"<{name}>"}) in list(lines(widget))
    ]

    assert [line[-1]["stat"] for line in widget["metrics"]] == ["p50", "p99", "Maximum"]
    assert [line["value"] for line in widget["annotations"]["horizontal"]] == [
        functions()[name]["Timeout"] * 1000
    ]


def test_every_queue_and_every_function_that_runs_by_itself_is_on_the_dashboard() -> None:
    watched = {(name, *dimensions.values()) for _, name, dimensions in SHOWN}
    by_themselves = [name for name, function in functions().items() if function.get("Events")]

    for name in resources("AWS::SQS::Queue"):
        assert ("ApproximateNumberOfMessagesVisible", f"<{name}.QueueName>") in watched
    for _, _, source in sqs_sources():
        queue = source["Queue"]["GetAtt"].removesuffix(".Arn")
        assert ("ApproximateAgeOfOldestMessage", f"<{queue}.QueueName>") in watched
    for metric, name in product(("Errors", "Duration"), by_themselves):
        assert (metric, f"<{name}>") in watched


def test_what_the_models_cost_is_tokens_times_the_price_of_a_million() -> None:
    (cost,) = [widget for widget in widgets() if "USD" in widget["title"]]

    priced = {
        (SEARCH.findall(expression)[0][1], price)
        for (line,) in cost["metrics"]
        for expression in [line["expression"]]
        for price in re.findall(r"^SUM\(.*\) \* <(\w+)> / 1000000$", expression)
    }

    assert priced == {
        ("LlmPromptTokens", "LlmPromptTokenPrice"),
        ("LlmCompletionTokens", "LlmCompletionTokenPrice"),
        ("EmbeddingTokens", "EmbeddingTokenPrice"),
    }


def test_the_dashboard_leads_to_its_page_of_the_runbook() -> None:
    first = json.loads(substituted(body()))["widgets"][0]
    (page, section) = re.findall(r"`(\S+)`, \*(.+)\*", first["properties"]["markdown"])[0]

    assert f"\n## {section}\n" in (ROOT / page).read_text()


def test_rows_of_the_dashboard_are_full() -> None:
    """CloudWatch lays widgets out from left to right; one that does not fit begins a row of 24 columns."""
    width = 0
    for widget in json.loads(substituted(body()))["widgets"]:
        width += widget["width"]
        assert width <= 24, widget["properties"].get("title")
        width %= 24
    assert width == 0
