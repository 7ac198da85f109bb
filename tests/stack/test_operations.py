"""What nobody asks for: the ledger is purged, and the dashboard is there."""

import json

from tests.stack.conftest import Deployed


def test_the_ledger_is_purged_of_what_ended_long_ago(deployed: Deployed) -> None:
    deployed.mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, finished_at) VALUES"
        " ('events', 'old', 'done', now() - interval '31 days'),"
        " ('events', 'young', 'done', now() - interval '29 days')"
    )

    answer, succeeded = deployed.stack.invoke("PurgeScheduleFunction")

    assert succeeded, answer
    assert answer == {"jobs": 1, "pages": 0}
    assert [row.subject for row in deployed.mojodex.rows("SELECT * FROM md_background_job")] == ["young"]


def test_the_dashboard_names_what_was_deployed(deployed: Deployed) -> None:
    name = deployed.stack.outputs["DashboardName"]

    body = json.loads(deployed.stack.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])

    shown = [line for widget in body["widgets"] for line in widget["properties"].get("metrics", [])]
    queue = deployed.queue_url.rpartition("/")[2]
    worker = deployed.stack.function_name(deployed.worker)
    assert ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue] in shown
    assert ["AWS/Lambda", "Errors", "FunctionName", worker] in shown
    assert "${PROP('Dim.service')}" in {line[0]["label"] for line in shown if isinstance(line[0], dict)}
