"""SES's events about mails, through the deployed queue and worker, and the rule that feeds them.

The emulator's SES keeps its event destination but publishes nothing. As on AWS, nobody else may put an
event of "aws.ses" on the bus. So the test asks the rule for matches and sends the matching events itself.
"""

import json
from datetime import UTC, datetime
from typing import Any

from tests.ses_events import ses_event
from tests.stack.conftest import Deployed, eventually

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def configuration_set(deployed: Deployed) -> str:
    """Return the name of the stack's configuration set from the worker's environment."""
    function = deployed.stack.client("lambda").get_function_configuration(
        FunctionName=deployed.stack.function_name("MailFeedbackWorkerFunction")
    )
    name: str = function["Environment"]["Variables"]["SES_CONFIGURATION_SET"]
    return name


def matched(deployed: Deployed, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events that the rule passes on to the queue."""
    bus = deployed.stack.client("events")
    queue = deployed.stack.outputs["MailFeedbackQueueArn"]
    (name,) = bus.list_rule_names_by_target(TargetArn=queue)["RuleNames"]
    pattern = bus.describe_rule(Name=name)["EventPattern"]
    return [
        each
        for each in events
        if bus.test_event_pattern(EventPattern=pattern, Event=json.dumps(each))["Result"]
    ]


def saved(deployed: Deployed) -> dict[str, Any]:
    return {row.message_id: row for row in deployed.mojodex.rows("SELECT * FROM md_background_mail")}


def test_the_events_of_ses_are_saved_and_block_an_address(
    deployed: Deployed,
) -> None:
    feedback, ours = deployed.of("mail_feedback"), configuration_set(deployed)
    user_id = deployed.mojodex.user()
    deployed.mojodex.run(
        "INSERT INTO md_background_mail (message_id, user_id, address, sent_at, reasons)"
        " VALUES ('m1', :u, :u || '@example.com', :t, '{}')",
        u=user_id,
        t=NOW,
    )

    passed_on = matched(
        deployed,
        ses_event("Bounce", "m1", NOW, configuration_set=ours),
        ses_event("Delivery", "m2", NOW, configuration_set=ours),
        ses_event("Delivery", "not-ours", NOW, configuration_set="another"),
        ses_event("Open", "not-wanted", NOW, configuration_set=ours),
    )
    assert len(passed_on) == 2
    feedback.send(*map(json.dumps, passed_on))

    eventually(
        "both events are saved",
        lambda: (
            (there := saved(deployed)).keys() == {"m1", "m2"}
            and there["m1"].bounced_at == there["m2"].delivered_at == NOW
        ),
        lambda: f"{saved(deployed)}\n{feedback.worker_logs()}",
    )
    (block,) = deployed.mojodex.rows("SELECT * FROM md_background_mail_block")
    assert (block.user_id, block.kind, block.until) == (user_id, "bounce", None)
    feedback.wait_until_drained()
    assert feedback.dead_letters() == []


def test_an_invalid_message_becomes_a_dead_letter_and_a_valid_one_is_handled(deployed: Deployed) -> None:
    feedback = deployed.of("mail_feedback")
    good = ses_event("Delivery", "m3", NOW, configuration_set=configuration_set(deployed))

    feedback.send("nonsense", json.dumps(good), json.dumps(ses_event("Delivery", "m4", NOW)))

    eventually("the valid event is saved", lambda: "m3" in saved(deployed), feedback.worker_logs)
    feedback.wait_until_drained()
    reasons = sorted(reason for _, reason in feedback.dead_letters())
    assert len(reasons) == 2
    assert reasons[0].startswith("message: Invalid JSON")
    assert reasons[1] == "the mail is of another configuration set"
