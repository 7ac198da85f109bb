"""Operations without a request: the ledger is purged, and the dashboard exists."""

import json
import time

from local.runtime.deploy import STACK_NAME
from tests.stack.conftest import Deployed


def test_the_purge_deletes_jobs_that_finished_long_ago(deployed: Deployed) -> None:
    deployed.mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, finished_at) VALUES"
        " ('events', 'old', 'done', now() - interval '31 days'),"
        " ('events', 'young', 'done', now() - interval '29 days')"
    )

    answer, succeeded = deployed.stack.invoke("PurgeScheduleFunction")

    assert succeeded, answer
    assert answer == {"jobs": 1, "pages": 0, "mails": 0, "audit": 0, "refusals": 0}
    assert [row.subject for row in deployed.mojodex.rows("SELECT * FROM md_background_job")] == ["young"]


def test_the_dashboard_names_the_deployed_resources(deployed: Deployed) -> None:
    name = deployed.stack.outputs["DashboardName"]

    body = json.loads(deployed.stack.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])

    shown = [line for widget in body["widgets"] for line in widget["properties"].get("metrics", [])]
    queue = deployed.queue_url.rpartition("/")[2]
    worker = deployed.stack.function_name(deployed.worker)
    named = [[word for word in line if not isinstance(word, dict)] for line in shown]
    assert ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue] in named
    assert ["AWS/Lambda", "Errors", "FunctionName", worker] in named
    assert "${PROP('Dim.service')}" in {line[0]["label"] for line in shown if isinstance(line[0], dict)}


def test_the_dashboard_begins_with_the_state_of_every_alarm(deployed: Deployed) -> None:
    cloudwatch = deployed.stack.client("cloudwatch")
    name = deployed.stack.outputs["DashboardName"]

    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])

    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    deployed_alarms = {alarm["AlarmArn"] for page in pages for alarm in page["MetricAlarms"]}
    (shown,) = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
    assert set(shown["properties"]["alarms"]) == deployed_alarms
    assert all(arn.startswith("arn:aws:cloudwatch:") for arn in deployed_alarms)


def test_a_failed_schedule_is_not_run_again_by_lambda(deployed: Deployed) -> None:
    name = deployed.stack.function_name("EventsScheduleFunction")

    config = deployed.stack.client("lambda").get_function_event_invoke_config(
        FunctionName=name, Qualifier="$LATEST"
    )

    assert config["MaximumRetryAttempts"] == 0


def test_metrics_are_those_of_the_stack(deployed: Deployed) -> None:
    since = time.time()

    _, succeeded = deployed.stack.invoke("PurgeScheduleFunction")

    assert succeeded
    lines = [
        json.loads(line) for line in deployed.stack.logs("PurgeScheduleFunction", since) if "_aws" in line
    ]
    namespaces = {each["Namespace"] for line in lines for each in line["_aws"]["CloudWatchMetrics"]}
    assert namespaces == {f"MojodexBackground/{STACK_NAME}"}
