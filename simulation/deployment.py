"""The deployed bundle as plain data. Every figure comes from `template.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.structure.template import template

# Parameters without a default, and those that the simulation sets to another value.
PARAMETERS: Mapping[str, str] = {
    "DatabaseSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-AbCdEf",
    "LlmSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:model-AbCdEf",
    "EmailSender": "mojo@example.com",
    "MojodexWebappUri": "https://app.example.com",
    "LlmBaseUrl": "https://model.example.com/v1",
    # Refresh websites even in a run of a few days.
    "RefreshDays": "1",
    # The promise excludes dormant users, so no user becomes dormant.
    "DormantAfterDays": "0",
}
PSEUDO_PARAMETERS = {"AWS::StackName": "simulation", "AWS::Partition": "aws", "AWS::NoValue": ""}
MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}


@dataclass(frozen=True)
class QueueSettings:
    """A queue; times in seconds. `dead_letters` is the logical id of its dead-letter queue, or ''."""

    name: str
    visibility: int
    retention: int
    max_receive_count: int = 0
    dead_letters: str = ""


@dataclass(frozen=True)
class Source:
    """An event source mapping: the queue that feeds a worker, and the settings. `window` is in seconds."""

    queue: str
    batch_size: int
    window: int
    concurrency: int


@dataclass(frozen=True)
class Schedule:
    """The period of a schedule in minutes. `on_the_hour`: it is a cron expression at minute 0."""

    minutes: int
    on_the_hour: bool


@dataclass(frozen=True)
class FunctionSettings:
    """A function: logical id, handler, timeout (seconds), environment, and the event source that invokes it.

    Attributes:
        retries: how often Lambda retries a failed asynchronous invocation.
    """

    name: str
    handler: str
    timeout: int
    environment: Mapping[str, str]
    retries: int
    source: Source | None
    schedule: Schedule | None


@dataclass(frozen=True)
class Deployment:
    """All queues and functions, by logical id."""

    queues: Mapping[str, QueueSettings]
    functions: Mapping[str, FunctionSettings]

    def sources(self) -> dict[str, str]:
        """Return the process of each queue (the function's service name), by the queue's logical id."""
        return {
            function.source.queue: function.environment["POWERTOOLS_SERVICE_NAME"]
            for function in self.functions.values()
            if function.source
        }


def queue_url(name: str) -> str:
    """Return a queue's URL for its logical id."""
    return f"https://sqs.example.com/{name}"


@cache
def deployment() -> Deployment:
    """Read the template."""
    resources = template()["Resources"]
    queues = [
        _queue(name, resource.get("Properties", {}))
        for name, resource in resources.items()
        if resource["Type"] == "AWS::SQS::Queue"
    ]
    functions = [
        _function(name, resource["Properties"])
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"].get("Events")
    ]
    return Deployment({q.name: q for q in queues}, {f.name: f for f in functions})


def _queue(name: str, properties: dict[str, Any]) -> QueueSettings:
    redrive = properties.get("RedrivePolicy", {})
    target = redrive.get("deadLetterTargetArn", {}).get("GetAtt", "")
    return QueueSettings(
        name,
        # Amazon SQS API Reference, CreateQueue: 30 seconds and four days by default.
        int(_value(properties.get("VisibilityTimeout", 30))),
        int(_value(properties.get("MessageRetentionPeriod", 345_600))),
        int(redrive.get("maxReceiveCount", 0)),
        target.removesuffix(".Arn"),
    )


def _function(name: str, properties: dict[str, Any]) -> FunctionSettings:
    common = template()["Globals"]["Function"]
    variables = common["Environment"]["Variables"] | properties.get("Environment", {}).get("Variables", {})
    retries = {**common.get("EventInvokeConfig", {}), **properties.get("EventInvokeConfig", {})}
    source = schedule = None
    for event in properties["Events"].values():
        details = event["Properties"]
        if event["Type"] == "SQS":
            source = Source(
                details["Queue"]["GetAtt"].removesuffix(".Arn"),
                int(details["BatchSize"]),
                int(details.get("MaximumBatchingWindowInSeconds", 0)),
                int(_value(details["ScalingConfig"]["MaximumConcurrency"])),
            )
        if event["Type"] == "ScheduleV2":
            schedule = _schedule(details["ScheduleExpression"])
    return FunctionSettings(
        name,
        properties["Handler"],
        int(_value(properties["Timeout"])),
        {key: str(_value(value)) for key, value in variables.items()},
        # "How Lambda handles errors and retries with asynchronous invocation": two.
        int(retries.get("MaximumRetryAttempts", 2)),
        source,
        schedule,
    )


def _schedule(expression: str) -> Schedule:
    if match := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return Schedule(int(match[1]) * MINUTES[match[2]], on_the_hour=False)
    if expression == "cron(0 * * * ? *)":
        return Schedule(60, on_the_hour=True)
    raise ValueError(f"the simulation does not know this schedule expression: {expression}")


def _value(value: Any) -> Any:
    """Resolve a value of the template: its parameters, queues and conditions."""
    if not isinstance(value, dict):
        return value
    ((name, argument),) = value.items()
    match name:
        case "Ref":
            return _reference(argument)
        case "If":
            return _value(argument[1] if _holds(argument[0]) else argument[2])
        case "Sub" if isinstance(argument, str):
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(_reference(found[1])), argument)
        case "Join":
            values = argument[1] if isinstance(argument[1], list) else [argument[1]]
            return argument[0].join(str(_value(each)) for each in values)
        case "FindInMap":
            first, *keys = map(_value, argument)
            found: Any = template()["Mappings"][first]
            for key in keys:
                found = found[key]
            return found
        case "GetAtt":
            return argument
    raise ValueError(f"the simulation does not know this value: {value}")


def _reference(name: str) -> Any:
    if name in PSEUDO_PARAMETERS:
        return PSEUDO_PARAMETERS[name]
    if name in template()["Parameters"]:
        return PARAMETERS.get(name, template()["Parameters"][name].get("Default", ""))
    if template()["Resources"][name]["Type"] == "AWS::SQS::Queue":
        return queue_url(name)
    return name


def _holds(condition: Any) -> bool:
    """Tell whether a condition of the template holds."""
    if isinstance(condition, str):
        return _holds(template()["Conditions"][condition])
    ((name, argument),) = condition.items()
    match name:
        case "Condition":
            return _holds(argument)
        case "Not":
            return not _holds(argument[0])
        case "Or":
            return any(map(_holds, argument))
        case "And":
            return all(map(_holds, argument))
        case "Equals":
            first, second = map(_value, argument)
            return bool(first == second)
    raise ValueError(f"the simulation does not know this condition: {condition}")
