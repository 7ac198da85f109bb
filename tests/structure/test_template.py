"""Rules for the template."""

import importlib
import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cost import Assumed
from documents.create_from_website import crawl, worker
from evals import work
from maintenance.purge import KEPT
from mojodex.circuit import PROBE_SECONDS
from mojodex.queues import HIDDEN_SECONDS, MAX_RECEIVES, RETENTION
from mojodex.spending import parse_prices
from tests import ROOT
from tests.structure.metrics import emitted
from tests.structure.template import functions, resources, sqs_sources, template

QUEUES = resources("AWS::SQS::Queue")
ALARMS = resources("AWS::CloudWatch::Alarm")
NAMESPACE = template()["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]
DAY = 24 * 3600
DEAD_LETTER_QUEUES = {name for name, queue in QUEUES.items() if "RedrivePolicy" not in queue}


def named(reference: dict[str, str]) -> str:
    """Return the logical id in !GetAtt X.Arn."""
    return reference["GetAtt"].partition(".")[0]


def test_the_template_has_functions_and_queues_to_check() -> None:
    assert len(functions()) >= 3
    assert len(sqs_sources()) >= 1
    assert len(QUEUES) >= 2


@pytest.mark.parametrize(("name", "function", "source"), sqs_sources(), ids=lambda value: str(value)[:40])
def test_a_queue_hides_a_message_long_enough(
    name: str, function: dict[str, Any], source: dict[str, Any]
) -> None:
    queue = QUEUES[named(source["Queue"])]

    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + source["MaximumBatchingWindowInSeconds"]
    # A worker without jobs has no lease.
    if lease := function["Environment"]["Variables"].get("LEASE_SECONDS"):
        assert function["Timeout"] < int(lease) < queue["VisibilityTimeout"]
    else:
        assert name == "MailFeedbackWorkerFunction"


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


def test_the_ledger_keeps_jobs_longer_than_messages_live_and_schedules_look_back() -> None:
    """Otherwise finished jobs run and cost again. A redriven message lives a second time."""
    kept = KEPT.days * DAY

    assert kept >= 2 * max(queue["MessageRetentionPeriod"] for queue in QUEUES.values())
    assert kept >= template()["Parameters"]["ExtractTodosLookBackDays"]["MaxValue"] * DAY


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_encrypted(name: str) -> None:
    assert QUEUES[name]["SqsManagedSseEnabled"] is True


def statements(function: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a function's role. SAM's own role could receive from every queue."""
    role = resources("AWS::IAM::Role")[named(function["Role"])]
    documents = [policy["PolicyDocument"] for policy in [*role["Policies"], *policies(function).values()]]
    # Assume that conditions are true.
    return [s["If"][1] if "If" in s else s for document in documents for s in document["Statement"]]


def policies(function: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the separate policies of a function's role by logical id."""
    role = {"Ref": named(function["Role"])}
    return {name: it for name, it in resources("AWS::IAM::Policy").items() if role in it["Roles"]}


@pytest.mark.parametrize("name", functions())
def test_a_function_is_created_after_its_policies(name: str) -> None:
    """A separate policy must exist before the function and its triggers."""
    needed = template()["Resources"][name].get("DependsOn", [])

    assert set(policies(functions()[name])) == set([needed] if isinstance(needed, str) else needed)


@pytest.mark.parametrize("name", functions())
def test_no_right_has_a_wildcard(name: str) -> None:
    for statement in statements(functions()[name]):
        assert "*" not in str(statement["Resource"])
        assert "*" not in str(statement["Action"])


SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
SENDER, DOMAIN = f"{SES}identity/${{EmailSender}}", f"{SES}identity/${{Domain}}"
SET = f"{SES}configuration-set/${{EmailConfigurationSet}}"
MAPPING = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:event-source-mapping:"


def resource(target: dict[str, Any]) -> str:
    """Return the target of a policy: a parameter, a resource, or the pattern of an ARN."""
    if "If" in target:
        _, target, _ = target["If"]
    if "Sub" in target:
        return target["Sub"] if isinstance(target["Sub"], str) else target["Sub"][0]
    return target.get("Ref") or named(target)


def queues_of(variables: dict[str, Any]) -> set[str]:
    """Return the queues that a function's variables name, as logical ids."""
    alone = {value["Ref"] for key, value in variables.items() if key.endswith("QUEUE_URL")}
    return alone | in_one(variables, "QUEUES") | in_one(variables, "QUEUE_URLS")


def in_one(variables: dict[str, Any], name: str) -> set[str]:
    """Return the logical ids of the resources that a variable names in a JSON object."""
    return set(re.findall(r"\$\{(\w+)\}", variables.get(name, {}).get("Sub", "")))


@pytest.mark.parametrize("name", functions())
def test_a_function_may_read_only_the_secrets_and_queues_of_its_settings(name: str) -> None:
    function = functions()[name]
    variables = function["Environment"]["Variables"]
    secrets = {value["Ref"] for key, value in variables.items() if key.endswith("_SECRET_ARN")}
    queues = queues_of(variables)

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
    mappings = {f"{MAPPING}${{{mapping}}}" for mapping in in_one(variables, "EVENT_SOURCE_MAPPINGS")}
    calls = {
        "lambda": in_one(variables, "SCHEDULES") | mappings,
        "cloudwatch": in_one(variables, "AGE_ALARMS"),
    }
    assert may == {
        **{"secretsmanager": secrets, "sqs": queues, "logs": logs},
        **mails,
        **{service: targets for service, targets in calls.items() if targets},
    }


@pytest.mark.parametrize("name", functions())
def test_a_function_receives_from_the_queue_that_feeds_it_and_sends_to_the_others(name: str) -> None:
    variables = functions()[name]["Environment"]["Variables"]
    receives_from = {named(source["Queue"]) for fed, _, source in sqs_sources() if fed == name}
    if name == "RedriveScheduleFunction":
        receives_from = DEAD_LETTER_QUEUES
    sends_to = queues_of(variables) - receives_from
    if name == "CreateFromWebsiteWorkerFunction":
        # A crawl that outlasts an invocation continues with a new message.
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
    # Lambda stops a function in a loop with its own queue after about 16 rounds.
    allowed = functions()[name].get("RecursiveLoop", "Terminate") == "Allow"
    assert allowed == bool(sends_to & receives_from)


def test_the_longest_crawl_needs_fewer_rounds_than_the_limit() -> None:
    minutes = template()["Parameters"]["CrawlMinutesLimit"]["MaxValue"]
    shortest_round = worker.process.seconds_needed - crawl.SECONDS_NEEDED

    assert minutes * 60 / shortest_round < crawl.MOST_ROUNDS


def test_no_two_functions_share_a_role() -> None:
    roles = [named(function["Role"]) for function in functions().values()]

    assert len(set(roles)) == len(roles) == len(resources("AWS::IAM::Role"))


@pytest.mark.parametrize("name", functions())
def test_every_setting_is_supplied_and_every_variable_is_used(name: str) -> None:
    function = functions()[name]
    module = importlib.import_module(function["Handler"].rpartition(".")[0])
    # Settings that several modules need are in `environment`.
    settings = getattr(module, "environment", module).settings
    fields = type(settings).model_fields

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
    watched = {(a["MetricName"], str(d["Value"])) for a in ALARMS.values() for d in a["Dimensions"]}

    for name, function, source in sqs_sources():
        queue = str({"GetAtt": f"{named(source['Queue'])}.QueueName"})
        process = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        assert ("ApproximateAgeOfOldestMessage", queue) in watched, name
        # Only dead letters that the redrive leaves.
        assert ("DeadLettersLeft", process) in watched, name


def test_the_redrive_knows_every_process_and_its_queues() -> None:
    text = functions()["RedriveScheduleFunction"]["Environment"]["Variables"]["QUEUES"]["Sub"]

    assert json.loads(text) == {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: [
            f"${{{queue}}}",
            f"${{{named(QUEUES[queue]['RedrivePolicy']['deadLetterTargetArn'])}}}",
        ]
        for _, function, source in sqs_sources()
        for queue in [named(source["Queue"])]
    }


def test_the_code_has_the_same_queue_settings_as_the_template() -> None:
    for queue in QUEUES.values():
        if policy := queue.get("RedrivePolicy"):
            assert policy["maxReceiveCount"] == MAX_RECEIVES
            assert queue["MessageRetentionPeriod"] == RETENTION.total_seconds()
    assert functions()["RedriveScheduleFunction"]["Timeout"] < HIDDEN_SECONDS


def test_a_probe_outlasts_a_call_of_the_model() -> None:
    assert template()["Parameters"]["LlmTimeoutSeconds"]["MaxValue"] < PROBE_SECONDS


def description(alarm: dict[str, Any]) -> str:
    """Return the description of an alarm, with its parameters' names."""
    text = alarm["AlarmDescription"]
    text = text["Sub"] if isinstance(text, dict) else text
    if isinstance(text, list):
        text, variables = text
        for name, value in variables.items():
            text = text.replace(f"${{{name}}}", value)
    return str(text).strip()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reaches_the_topic_and_the_runbook(name: str) -> None:
    alarm = ALARMS[name]
    section = description(alarm).rpartition("docs/operations.md, ")[2].rstrip(".")

    topic = {"Page": "AlarmTopic", "Ticket": "TicketTopic"}[description(alarm).partition(".")[0]]
    assert alarm["AlarmActions"] == [{"Ref": topic}]
    assert alarm.get("OKActions", [{"Ref": topic}]) == [{"Ref": topic}]
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert section.lower() in [heading.lower() for heading in headings]


def test_an_alarm_on_a_metric_of_ours_watches_one_that_is_emitted() -> None:
    ours = [a for a in ALARMS.values() if not str(a["Namespace"]).startswith("AWS/")]

    assert ours
    for alarm in ours:
        assert alarm["Namespace"] == NAMESPACE
        ((name, value),) = [(d["Name"], d["Value"]) for d in alarm["Dimensions"]]
        assert value in emitted()[alarm["MetricName"], frozenset({name})]


def test_two_stacks_share_no_metric() -> None:
    assert NAMESPACE == {"Sub": "MojodexBackground/${AWS::StackName}"}
    for function in functions().values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_back_no_further_than_cloudwatch_allows(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"]
    looks_back = alarm["Period"] * alarm["EvaluationPeriods"]
    assert looks_back <= (DAY if alarm["Period"] < 3600 else 7 * DAY)


@pytest.mark.parametrize(("name", "function", "source"), sqs_sources(), ids=lambda value: str(value)[:40])
def test_a_worker_that_is_killed_at_each_retry_raises_the_alarm(
    name: str, function: dict[str, Any], source: dict[str, Any]
) -> None:
    """Its batch is retried only after the visibility timeout, so it never fails in many periods in a row."""
    (alarm,) = [a for a in ALARMS.values() if watches(a, "Errors", name)]
    looks_back = alarm["Period"] * alarm["EvaluationPeriods"]
    queue = QUEUES[named(source["Queue"])]

    assert looks_back // queue["VisibilityTimeout"] >= alarm["DatapointsToAlarm"]
    # One crash, for example by a deployment, raises no alarm.
    assert alarm["DatapointsToAlarm"] > 1


def watches(alarm: dict[str, Any], metric: str, function: str) -> bool:
    """Return whether an alarm watches this Lambda metric of this function."""
    return (alarm["MetricName"], alarm["Dimensions"]) == (
        metric,
        [{"Name": "FunctionName", "Value": {"Ref": function}}],
    )


def test_a_schedule_that_does_not_run_raises_the_alarm_before_its_mails_are_late() -> None:
    """A mail may be two hours late. The schedule runs each hour, so one more run must fit in."""
    (failed,) = [a for a in ALARMS.values() if watches(a, "Errors", "EventsScheduleFunction")]
    (silent,) = [a for a in ALARMS.values() if watches(a, "Invocations", "EventsScheduleFunction")]

    assert failed["Period"] * failed["DatapointsToAlarm"] <= 600
    assert 3600 < silent["Period"] * silent["DatapointsToAlarm"] <= 3600 + 600


def test_one_failed_job_raises_no_alarm() -> None:
    failed = [a for a in ALARMS.values() if a["MetricName"] == "JobsFailed"]

    assert len(failed) == len(sqs_sources())
    assert all(a["Threshold"] == {"Ref": "AlarmFailedJobs"} for a in failed)
    assert template()["Parameters"]["AlarmFailedJobs"]["Default"] >= 5


@pytest.mark.parametrize(("name", "function", "source"), sqs_sources(), ids=lambda value: str(value)[:40])
def test_one_old_dead_letter_does_not_hide_an_alarm_for_many(
    name: str, function: dict[str, Any], source: dict[str, Any]
) -> None:
    process = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    watched = [{"Name": "service", "Value": process}]
    alarms = [
        a for a in ALARMS.values() if a["Dimensions"] == watched and a["MetricName"] == "DeadLettersLeft"
    ]
    one, many = sorted(alarms, key=lambda alarm: alarm["Threshold"])

    assert one["Threshold"] == 0
    assert one["AlarmActions"] == [{"Ref": "TicketTopic"}]
    assert many["Threshold"] > 0
    assert many["AlarmActions"] == [{"Ref": "AlarmTopic"}]


def test_a_log_level_deploys_and_drops_no_metric() -> None:
    """Lambda takes a line without a level, such as a metric, for INFO."""
    function = template()["Globals"]["Function"]
    condition, debug, other = function["LoggingConfig"]["ApplicationLogLevel"]["If"]

    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}
    assert set(template()["Parameters"]["LogLevel"]["AllowedValues"]) <= set(logging.getLevelNamesMapping())
    # cfn-lint sorts the compared values.
    assert template()["Conditions"][condition] == {"Equals": ["DEBUG", {"Ref": "LogLevel"}]}
    assert (debug, other) == ("DEBUG", "INFO")


@pytest.mark.parametrize("name", functions())
def test_a_run_that_failed_is_not_repeated_by_lambda(name: str) -> None:
    """Scheduler invokes asynchronously, and Lambda's own retries are separate from the schedule's."""
    function = functions()[name]
    schedules = [e["Properties"] for e in function.get("Events", {}).values() if e["Type"] == "ScheduleV2"]

    assert function["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert 60 <= function["EventInvokeConfig"]["MaximumEventAgeInSeconds"] <= 3600
    assert all(schedule["RetryPolicy"]["MaximumRetryAttempts"] == 0 for schedule in schedules)


def test_names_are_short_enough_under_any_stack_name() -> None:
    """A stack's name may have 128 characters, a schedule's 64, a dashboard's 255."""
    groups = resources("AWS::Scheduler::ScheduleGroup")
    for function in functions().values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                assert re.fullmatch(r"[a-z-]{1,64}", event["Properties"]["Name"])
                assert event["Properties"]["GroupName"]["Ref"] in groups
    # CloudFormation makes and shortens all other names.
    assert not any("Name" in properties for properties in groups.values())
    named_by_us = {
        kind["Type"]
        for kind in template()["Resources"].values()
        for key, value in kind.get("Properties", {}).items()
        if key.endswith("Name") and "AWS::StackName" in str(value)
    }
    assert named_by_us == {"AWS::CloudWatch::Dashboard"}


@pytest.mark.parametrize(
    "name", ["DatabaseSecretArn", "LlmSecretArn", "UnsubscribeSecretArn", "OperateSecretArn"]
)
def test_a_secret_parameter_takes_only_a_whole_arn(name: str) -> None:
    """Without the six characters at its end, a policy would not match the secret."""
    pattern = template()["Parameters"][name]["AllowedPattern"]
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mojodex/database"

    assert re.fullmatch(pattern, f"{arn}-AbC12x")
    assert not re.fullmatch(pattern, arn)
    assert not re.fullmatch(pattern, f"{arn}-AbC12")


def fits(name: str, value: str) -> bool:
    return re.fullmatch(template()["Parameters"][name]["AllowedPattern"], value) is not None


@pytest.mark.parametrize("models", ["gpt-5-mini,", "a b", "", "a=b=c", "a,,b", "=b", "a="])
def test_a_list_of_models_that_was_cut_is_refused(models: str) -> None:
    assert not fits("LlmModels", models)
    assert fits("LlmModels", "gpt-5-mini, gpt-4.1=org/my-model:7b")


@pytest.mark.parametrize("prices", ["", "a=1", "a=1/0.5/2", " a=1/0.5/2 , b=0.1 "])
def test_prices_that_the_code_can_read_are_taken(prices: str) -> None:
    parse_prices(prices)

    assert fits("ModelPrices", prices)


@pytest.mark.parametrize(
    "prices",
    [
        *("a", "=1", "a=", "a=x", "a=-1", "a=nan", "a=inf", f"a=1{'0' * 309}", "a=1 b=2", "a=1;b=2"),
        *("a=1/2", "a=1/2/3/4", "a=1/2/", "a=1/-2/3", "b=1,a"),
    ],
)
def test_prices_that_the_code_cannot_read_are_refused(prices: str) -> None:
    with pytest.raises(ValueError, match="is not a price"):
        parse_prices(prices)

    assert not fits("ModelPrices", prices)


@pytest.mark.parametrize("prices", ["a=1,", ",a=1", "a=1,,b=2", ","])
def test_a_list_of_prices_that_was_cut_is_refused(prices: str) -> None:
    """A comma at the end is what sam leaves of a list with spaces that has no quotation marks."""
    assert not fits("ModelPrices", prices)


@given(st.from_regex(template()["Parameters"]["ModelPrices"]["AllowedPattern"], fullmatch=True))
def test_the_code_can_read_all_prices_that_the_template_takes(prices: str) -> None:
    assert len(parse_prices(prices)) == prices.count("=")


@pytest.mark.parametrize("name", template()["Parameters"])
def test_a_parameter_is_described_and_constrained(name: str) -> None:
    parameter = template()["Parameters"][name]

    assert parameter["Description"]
    # Lists of ids and Azure's version have no form that a pattern could check.
    if name not in ("VpcSubnetIds", "VpcSecurityGroupIds", "LlmApiVersion"):
        assert {"AllowedPattern", "AllowedValues", "MinValue", "MinLength"} & set(parameter)


def test_the_default_concurrency_leaves_connections_of_the_database_free() -> None:
    """The sum of concurrency x pool stays under 60 % of PostgreSQL's default of 100 connections."""
    parameters = template()["Parameters"]
    connections = sum(
        parameters[source["ScalingConfig"]["MaximumConcurrency"]["Ref"]]["Default"]
        * int(function["Environment"]["Variables"]["DATABASE_POOL_SIZE"])
        for _, function, source in sqs_sources()
    )

    assert connections <= 60


def test_the_processor_can_be_chosen() -> None:
    parameter = template()["Parameters"]["Architecture"]

    assert parameter["Default"] == "arm64"
    assert parameter["AllowedValues"] == ["arm64", "x86_64"]
    assert template()["Globals"]["Function"]["Runtime"] == "python3.13"


def test_a_job_has_more_attempts_than_its_message_has_receives() -> None:
    from mojodex.jobs import MAX_ATTEMPTS

    receives = [q["RedrivePolicy"]["maxReceiveCount"] for q in QUEUES.values() if "RedrivePolicy" in q]

    assert min(receives) * 2 == max(receives) * 2 == MAX_ATTEMPTS


def test_the_evaluation_runs_the_workers_with_the_templates_defaults() -> None:
    parameters = template()["Parameters"]

    assert int(parameters["RescheduleTodoLoadCap"]["Default"]) == work.LOAD_CAP
    assert int(parameters["RescheduleTodoSlippingAfterMoves"]["Default"]) == work.SLIPPING_AFTER_MOVES
    budget = parameters["ExtractTodosConversationTokenBudget"]["Default"]
    assert int(budget) == work.CONVERSATION_TOKEN_BUDGET


RUNS_A_DAY = {"rate(5 minutes)": 288, "rate(10 minutes)": 144, "cron(0 * * * ? *)": 24, "rate(1 day)": 1}


def test_the_cost_bench_assumes_the_real_numbers_of_alarms_queues_and_schedules() -> None:
    assumed = Assumed()
    events = [event for function in functions().values() for event in function.get("Events", {}).values()]
    schedules = [event["Properties"] for event in events if event["Type"] == "ScheduleV2"]

    # Five pollers a queue, each of which long-polls for 20 s.
    assert assumed.empty_receives == len(sqs_sources()) * 5 * DAY / 20
    assert assumed.schedule_runs == sum(RUNS_A_DAY[it["ScheduleExpression"]] for it in schedules)
    assert assumed.alarms == len(ALARMS)
    assert assumed.keys == len(resources("AWS::KMS::Key"))
    assert assumed.dashboards == len(resources("AWS::CloudWatch::Dashboard"))
