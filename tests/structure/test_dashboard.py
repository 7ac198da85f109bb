"""The dashboard shows existing metrics with their exact dimensions, and all metrics of ours."""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests import ROOT
from tests.structure.metrics import emitted
from tests.structure.template import functions, resources, sqs_sources, template

# Stands for the namespace of the stack.
OURS = "<Ours>"
# Dimension, the resource type, and the attribute that is its value.
AWS = {
    "AWS/SQS": ("QueueName", "AWS::SQS::Queue", ".QueueName"),
    "AWS/Lambda": ("FunctionName", "AWS::Serverless::Function", ""),
    "AWS/SES": ("ses:configuration-set", "AWS::SES::ConfigurationSet", ""),
    "AWS/ApiGateway": ("ApiId", "AWS::ApiGatewayV2::Api", ""),
}
# Metrics with only this dimension, from the developer guides of SQS, Lambda, API Gateway and SES.
AWS_METRICS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    },
    "AWS/Lambda": {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
    "AWS/ApiGateway": {"5xx"},
    "AWS/SES": {"Reputation.BounceRate", "Reputation.ComplaintRate"},
}
# A namespace with a "/" or "-" in it must be quoted.
SEARCH = re.compile(r"""SEARCH\('\{"([<>\w]+)",([\w,]+)\} MetricName="(\w+)"', '(?:Sum|Maximum)'\)""")


def substituted(text: str) -> str:
    """Return the text of !Sub with names in place of values."""
    return re.sub(r"\$\{([^!}]+)\}", r"<\1>", text).replace("${!", "${")


def body() -> str:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    text, variables = dashboard["DashboardBody"]["Sub"]
    assert variables == {
        "Ours": template()["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"],
        # The API is optional.
        "ApiId": {"If": ["HasOperateApi", {"Ref": "OperateHttpApi"}, "none"]},
    }
    return str(text)


def everything() -> list[dict[str, Any]]:
    """Return all widgets from top to bottom."""
    shown: list[dict[str, Any]] = json.loads(substituted(body()))["widgets"]
    return shown


def widgets() -> list[dict[str, Any]]:
    """Yield the properties of the widgets with metrics."""
    return [w["properties"] for w in everything() if w["type"] == "metric"]


def lines(widget: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield namespace, name and dimensions of each metric of a widget. A search has no dimension values."""
    before: list[str] = []
    for line in widget["metrics"]:
        options = line[-1] if isinstance(line[-1], dict) else {}
        if expression := options.get("expression"):
            found = SEARCH.findall(expression)
            assert found, expression
            for namespace, dimensions, name in found:
                yield namespace, name, dict.fromkeys(dimensions.split(","), "")
            continue
        words = [word for word in line if not isinstance(word, dict)]
        if words != ["..."]:
            before = [before[place] if word == "." else word for place, word in enumerate(words)]
        namespace, name, *rest = before
        yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


SHOWN = [metric for widget in widgets() for metric in lines(widget)]


@pytest.mark.parametrize(("namespace", "name", "dimensions"), SHOWN, ids=lambda value: str(value)[:60])
def test_a_metric_on_the_dashboard_exists_with_exactly_these_dimensions(
    namespace: str, name: str, dimensions: dict[str, str]
) -> None:
    if namespace == OURS:
        services = emitted()[name, frozenset(dimensions)]
        assert dimensions.get("service", dimensions.get("scope")) in services | {""}
        return
    dimension, kind, attribute = AWS[namespace]
    assert name in AWS_METRICS[namespace]
    assert list(dimensions) == [dimension]
    # A variable's name stands for the API.
    value = dimensions[dimension].replace("<ApiId>", "<OperateHttpApi>")
    assert value in {f"<{logical_id}{attribute}>" for logical_id in resources(kind)}


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {(name, frozenset(dimensions)) for namespace, name, dimensions in SHOWN if namespace == OURS}

    assert shown == set(emitted())


def test_each_reference_of_the_dashboard_is_in_the_template() -> None:
    known = {*template()["Resources"], *template()["Parameters"], "AWS::Region", "Ours", "ApiId"}

    for name in re.findall(r"\$\{([^!}]+)\}", body()):
        assert name.removesuffix(".QueueName").removesuffix(".Arn") in known


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


def test_every_queue_and_every_scheduled_function_is_on_the_dashboard() -> None:
    watched = {(name, *dimensions.values()) for _, name, dimensions in SHOWN}
    by_themselves = [name for name, function in functions().items() if function.get("Events")]

    for name in resources("AWS::SQS::Queue"):
        assert ("ApproximateNumberOfMessagesVisible", f"<{name}.QueueName>") in watched
    for _, _, source in sqs_sources():
        queue = source["Queue"]["GetAtt"].removesuffix(".Arn")
        assert ("ApproximateAgeOfOldestMessage", f"<{queue}.QueueName>") in watched
    for metric, name in product(("Errors", "Duration"), by_themselves):
        assert (metric, f"<{name}>") in watched


def test_the_cost_of_models_is_shown_by_process() -> None:
    (cost,) = [widget for widget in widgets() if "USD" in widget["title"]]

    assert list(lines(cost)) == [
        (OURS, "ModelCost", {"service": ""}),
        (OURS, "SpendLimitReached", {"service": "all"}),
    ]


def test_the_dashboard_names_its_section_of_the_runbook() -> None:
    first = everything()[0]
    (page, section) = re.findall(r"`(\S+)`, \*(.+)\*", first["properties"]["markdown"])[0]

    assert f"\n## {section}\n" in (ROOT / page).read_text()


def test_rows_of_the_dashboard_are_full() -> None:
    """CloudWatch lays out widgets in rows of 24 columns. One that does not fit begins a new row."""
    width = 0
    for widget in everything():
        width += widget["width"]
        assert width <= 24, widget["properties"].get("title")
        width %= 24
    assert width == 0


def test_the_dashboard_begins_with_the_current_faults() -> None:
    """All alarms come first, then age and depth of the queues, dead letters and failed jobs."""
    _, alarms, *rest = everything()
    graphs = [list(lines(widget["properties"])) for widget in rest[:4]]
    queues = {
        f"<{source['Queue']['GetAtt'].removesuffix('.Arn')}.QueueName>" for _, _, source in sqs_sources()
    }

    assert alarms["type"] == "alarm"
    assert sorted(alarms["properties"]["alarms"]) == sorted(
        f"<{name}.Arn>" for name in resources("AWS::CloudWatch::Alarm")
    )
    assert [{name for _, name, _ in graph} for graph in graphs] == [
        {"ApproximateAgeOfOldestMessage"},
        {"ApproximateNumberOfMessagesVisible"},
        {"ApproximateNumberOfMessagesVisible"},
        {"JobsFailed"},
    ]
    assert [{dimensions["QueueName"] for _, _, dimensions in graph} for graph in graphs[:3]] == [
        queues,
        queues,
        {queue.replace("Queue.", "DeadLetterQueue.") for queue in queues},
    ]
