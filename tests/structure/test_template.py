"""Rules that the template keeps."""

import importlib
import re
from typing import Any

import pytest

from maintenance.purge import KEPT
from tests import ROOT
from tests.structure.template import functions, resources, sqs_sources, template

QUEUES = resources("AWS::SQS::Queue")
ALARMS = resources("AWS::CloudWatch::Alarm")
DAY = 24 * 3600


def named(reference: dict[str, str]) -> str:
    """The logical id in !GetAtt X.Arn."""
    return reference["GetAtt"].partition(".")[0]


def test_there_is_something_to_check() -> None:
    assert len(functions()) >= 3
    assert len(sqs_sources()) >= 1
    assert len(QUEUES) >= 2


@pytest.mark.parametrize(("name", "function", "source"), sqs_sources(), ids=lambda value: str(value)[:40])
def test_a_queue_hides_a_message_long_enough(
    name: str, function: dict[str, Any], source: dict[str, Any]
) -> None:
    queue = QUEUES[named(source["Queue"])]
    lease = int(function["Environment"]["Variables"]["LEASE_SECONDS"])

    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + source["MaximumBatchingWindowInSeconds"]
    assert function["Timeout"] < lease < queue["VisibilityTimeout"]


@pytest.mark.parametrize(("name", "function", "source"), sqs_sources(), ids=lambda value: str(value)[:40])
def test_a_source_reports_partial_failures_and_is_capped(
    name: str, function: dict[str, Any], source: dict[str, Any]
) -> None:
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"]
    assert source["BatchSize"] <= 10


def test_every_queue_is_consumed_or_is_a_dead_letter_queue() -> None:
    consumed = {named(source["Queue"]) for _, _, source in sqs_sources()}
    dead_letter = {
        named(q["RedrivePolicy"]["deadLetterTargetArn"]) for q in QUEUES.values() if "RedrivePolicy" in q
    }

    assert consumed | dead_letter == set(QUEUES)
    assert all("RedrivePolicy" in QUEUES[name] for name in consumed)


def test_dead_letters_are_kept_longer_than_messages() -> None:
    for queue in QUEUES.values():
        if policy := queue.get("RedrivePolicy"):
            dead_letters = QUEUES[named(policy["deadLetterTargetArn"])]
            assert policy["maxReceiveCount"] >= 5
            assert queue["MessageRetentionPeriod"] == 4 * DAY
            assert dead_letters["MessageRetentionPeriod"] == 14 * DAY


def test_the_ledger_remembers_for_longer_than_a_message_lives_and_a_schedule_looks_back() -> None:
    """Otherwise what has ended is done and paid for again. A redriven message has a second life."""
    kept = KEPT.days * DAY

    assert kept >= 2 * max(queue["MessageRetentionPeriod"] for queue in QUEUES.values())
    assert kept >= template()["Parameters"]["ExtractTodosLookBackDays"]["MaxValue"] * DAY


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_encrypted(name: str) -> None:
    assert QUEUES[name]["SqsManagedSseEnabled"] is True


def statements(function: dict[str, Any]) -> list[dict[str, Any]]:
    """What the function's role allows. With a role that SAM makes, it could receive from every queue."""
    role = resources("AWS::IAM::Role")[named(function["Role"])]
    return [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]


@pytest.mark.parametrize("name", functions())
def test_a_function_may_touch_only_what_it_names(name: str) -> None:
    for statement in statements(functions()[name]):
        assert "*" not in str(statement["Resource"])
        assert "*" not in str(statement["Action"])


SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
SENDER, DOMAIN = f"{SES}identity/${{EmailSender}}", f"{SES}identity/${{Domain}}"
SET = f"{SES}configuration-set/${{EmailConfigurationSet}}"


def resource(target: dict[str, Any]) -> str:
    """What a policy names: a parameter, a resource, or the pattern of an ARN."""
    if "If" in target:
        _, target, _ = target["If"]
    if "Sub" in target:
        return target["Sub"] if isinstance(target["Sub"], str) else target["Sub"][0]
    return target.get("Ref") or named(target)


@pytest.mark.parametrize("name", functions())
def test_a_function_may_read_only_the_secrets_and_queues_of_its_settings(name: str) -> None:
    function = functions()[name]
    variables = function["Environment"]["Variables"]
    secrets = {value["Ref"] for key, value in variables.items() if key.endswith("_SECRET_ARN")}
    queues = {value["Ref"] for key, value in variables.items() if key.endswith("QUEUE_URL")}

    may: dict[str, set[str]] = {"secretsmanager": set(), "sqs": set(), "logs": set()}
    mails = {"ses": {SENDER, DOMAIN, SET}} if "EMAIL_SENDER" in variables else {}
    for statement in statements(function):
        targets = (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        action = statement["Action"]
        (service,) = {a.partition(":")[0] for a in (action if isinstance(action, list) else [action])}
        may.setdefault(service, set()).update(map(resource, targets))

    logs = {function["LoggingConfig"]["LogGroup"]["Ref"]}
    assert may == {"secretsmanager": secrets, "sqs": queues, "logs": logs} | mails


@pytest.mark.parametrize("name", functions())
def test_a_function_receives_from_the_queue_that_feeds_it_and_sends_to_the_others(name: str) -> None:
    variables = functions()[name]["Environment"]["Variables"]
    receives_from = {named(source["Queue"]) for fed, _, source in sqs_sources() if fed == name}
    sends_to = {value["Ref"] for key, value in variables.items() if key.endswith("QUEUE_URL")} - receives_from
    if name == "CreateFromWebsiteWorkerFunction":
        # A website that outlasts an invocation goes on in a new message.
        sends_to |= receives_from

    may: dict[str, set[str]] = {}
    for statement in statements(functions()[name]):
        actions, targets = (
            value if isinstance(value, list) else [value]
            for value in (statement["Action"], statement["Resource"])
        )
        for action in actions:
            may.setdefault(action, set()).update(map(resource, targets))

    assert may.get("sqs:ReceiveMessage", set()) == receives_from
    assert may.get("sqs:SendMessage", set()) == sends_to


def test_no_two_functions_share_a_role() -> None:
    roles = [named(function["Role"]) for function in functions().values()]

    assert len(set(roles)) == len(roles) == len(resources("AWS::IAM::Role"))


@pytest.mark.parametrize("name", functions())
def test_every_setting_is_supplied_and_every_variable_is_used(name: str) -> None:
    function = functions()[name]
    module = importlib.import_module(function["Handler"].rpartition(".")[0])
    fields = type(module.settings).model_fields

    supplied = {
        key.lower() for key in function["Environment"]["Variables"] if not key.startswith("POWERTOOLS_")
    }

    assert {key for key, field in fields.items() if field.is_required()} <= supplied
    assert supplied <= set(fields)


@pytest.mark.parametrize("name", functions())
def test_a_function_logs_json_to_a_group_with_retention(name: str) -> None:
    logging = functions()[name]["LoggingConfig"]

    assert logging["LogFormat"] == "JSON"
    assert resources("AWS::Logs::LogGroup")[logging["LogGroup"]["Ref"]]["RetentionInDays"]


def test_every_queue_has_its_alarm() -> None:
    watched = {
        (a["MetricName"], d["Value"]["GetAtt"])
        for a in ALARMS.values()
        for d in a["Dimensions"]
        if "GetAtt" in d["Value"]
    }

    for name, queue in QUEUES.items():
        metric = (
            "ApproximateAgeOfOldestMessage"
            if "RedrivePolicy" in queue
            else "ApproximateNumberOfMessagesVisible"
        )
        assert (metric, f"{name}.QueueName") in watched


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reaches_the_topic_and_the_runbook(name: str) -> None:
    alarm = ALARMS[name]
    section = alarm["AlarmDescription"].strip().rpartition("docs/operations.md, ")[2].rstrip(".")

    assert {"Ref": "AlarmTopic"} in alarm["AlarmActions"]
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert section.lower() in [heading.lower() for heading in headings]


def test_an_alarm_on_a_metric_of_ours_watches_one_that_is_emitted() -> None:
    emitted = set()
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        emitted |= set(re.findall(r'count\("(\w+)"\)', path.read_text()))
    # worker.py names these from how a job ended.
    emitted |= {"JobsDone", "JobsFailed", "JobsSkipped", "JobsRepeated"}
    services = {f["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for f in functions().values()}
    ours = [a for a in ALARMS.values() if a["Namespace"] == "MojodexBackground"]

    assert ours
    for alarm in ours:
        assert alarm["MetricName"] in emitted
        assert [d["Name"] for d in alarm["Dimensions"]] == ["service"]
        assert alarm["Dimensions"][0]["Value"] in services


@pytest.mark.parametrize("name", template()["Parameters"])
def test_a_parameter_is_described_and_constrained(name: str) -> None:
    parameter = template()["Parameters"][name]

    assert parameter["Description"]
    # Lists of ids and a version that only Azure knows have no form that could be checked.
    if name not in ("VpcSubnetIds", "VpcSecurityGroupIds", "LlmApiVersion"):
        assert {"AllowedPattern", "AllowedValues", "MinValue", "MinLength"} & set(parameter)


def test_the_default_concurrency_leaves_the_database_room() -> None:
    """Sum of concurrency x pool under 60 % of the 100 connections that PostgreSQL allows by default."""
    parameters = template()["Parameters"]
    connections = sum(
        parameters[source["ScalingConfig"]["MaximumConcurrency"]["Ref"]]["Default"]
        * int(function["Environment"]["Variables"]["DATABASE_POOL_SIZE"])
        for _, function, source in sqs_sources()
    )

    assert connections <= 60


def test_the_processor_is_a_choice() -> None:
    parameter = template()["Parameters"]["Architecture"]

    assert parameter["Default"] == "arm64"
    assert parameter["AllowedValues"] == ["arm64", "x86_64"]
    assert template()["Globals"]["Function"]["Runtime"] == "python3.13"


def test_attempts_of_a_job_outlast_one_dispatch_of_its_message() -> None:
    from mojodex.jobs import MAX_ATTEMPTS

    receives = [q["RedrivePolicy"]["maxReceiveCount"] for q in QUEUES.values() if "RedrivePolicy" in q]

    assert min(receives) * 2 == max(receives) * 2 == MAX_ATTEMPTS
