"""SES's feedback: late, twice, in any order, before our own commit, about unknown mails, or invalid."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import pytest
import time_machine
from sqlalchemy.orm import Session

from mojodex import mail_ledger, queues
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.feedback import PAUSE, Mail
from tests.fake_model import FakeModel, Reply
from tests.fake_ses import FakeSes
from tests.integration.conftest import Bundle
from tests.lambda_events import FakeContext, failed_ids, sqs_event, sqs_record
from tests.metrics import emitted
from tests.mojodex import Mojodex
from tests.ses_events import ADDRESS, ses_event, soft_bounce

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
TODAY = NOW.date()
# The service that the tests set for all functions.
SERVICE = "extract_todos"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle("mail_feedback")


@pytest.fixture
def sent(bundle: Bundle) -> Callable[..., str]:
    """Save a sent mail as the worker of events does, and return its SES id."""

    def save(user_id: str, number: int = 1, at: datetime = NOW, address: str | None = None) -> str:
        message_id = f"ses-{user_id}-{number}"
        mail = Mail(message_id, at, user_id=user_id, address=address or f"{user_id}@example.com", job="job")
        with bundle.database.session() as session:
            mail_ledger.record(session, [mail])
            session.commit()
        return message_id

    return save


def mail(mojodex: Mojodex, message_id: str) -> Any:
    (row,) = mojodex.rows("SELECT * FROM md_background_mail WHERE message_id = :m", m=message_id)
    return row


def block(mojodex: Mojodex, user_id: str) -> Any:
    rows = mojodex.rows("SELECT * FROM md_background_mail_block WHERE user_id = :u", u=user_id)
    return rows[0] if rows else None


def is_blocked(mojodex: Mojodex, user_id: str, now: datetime = NOW) -> str | None:
    """Return the kind of the block that makes the schedule and the worker leave a user out."""
    kind: str | None = mojodex.run(
        f"SELECT ({mail_ledger.mail_block(':u', 'CAST(:now AS timestamptz)')})", u=user_id, now=now
    )
    return kind


# One mail.


def test_feedback_is_saved_and_counted_once(
    bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    message_id = sent(mojodex.user(), at=NOW)
    events = [
        ses_event("Send", message_id, NOW - timedelta(seconds=1)),
        ses_event("Delivery", message_id, NOW + HOUR, sent_at=NOW),
    ]

    for _ in range(2):
        assert bundle.work(*events, *events) == {"batchItemFailures": []}

    row = mail(mojodex, message_id)
    assert row.sent_at == NOW - timedelta(seconds=1)
    assert row.delivered_at == NOW + HOUR
    assert row.user_id
    assert row.reasons == []
    counted = emitted(capsys.readouterr().out)
    assert counted == {(SERVICE, "EmailsDelivered"): 1, (SERVICE, "EmailComplaintShare"): 0}


@pytest.mark.parametrize(
    ("event", "metric", "kind", "reason"),
    [
        (ses_event("Bounce", "m", NOW + HOUR, sent_at=NOW), "EmailsBounced", "bounce", "General 5.1.1"),
        (ses_event("Complaint", "m", NOW + HOUR, sent_at=NOW), "EmailsComplained", "complaint", "abuse"),
        (
            ses_event(
                "Complaint", "m", NOW, complaintSubType="OnAccountSuppressionList", complaintFeedbackType=None
            ),
            "EmailsComplained",
            "complaint",
            "OnAccountSuppressionList",
        ),
        (ses_event("Complaint", "m", NOW, complaintFeedbackType="not-spam"), None, None, ""),
        (ses_event("Reject", "m", NOW), "EmailsRejected", None, "Bad content"),
        (soft_bounce("m", NOW), "EmailsSoftBounced", None, "MailboxFull 4.2.2"),
        # Some servers send an "out of office" answer like this.
        (
            ses_event("Bounce", "m", NOW, bounceType="Undetermined", bouncedRecipients=[]),
            "EmailsSoftBounced",
            None,
            "General",
        ),
    ],
    ids=["bounce", "complaint", "suppressed", "no spam", "rejection", "full", "out of office"],
)
def test_each_kind_of_event_has_its_consequence(
    bundle: Bundle,
    mojodex: Mojodex,
    sent: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    event: dict[str, Any],
    metric: str | None,
    kind: str | None,
    reason: str,
) -> None:
    user_id = mojodex.user()
    event = json.loads(json.dumps(event))
    event["detail"]["mail"]["messageId"] = sent(user_id)

    bundle.work(event)

    expected = {(SERVICE, metric): 1} if metric else {}
    if metric == "EmailsComplained":
        expected[SERVICE, "EmailComplaintShare"] = 1
    assert dict(emitted(capsys.readouterr().out)) == expected
    assert is_blocked(mojodex, user_id) == kind
    there = block(mojodex, user_id)
    assert (there.kind if there else None, there.until if there else None) == (kind, None)
    reasons = mojodex.run("SELECT reasons FROM md_background_mail")
    assert [said.partition(": ")[2] for said in reasons] == ([reason] if reason else [])


def test_the_average_of_the_complaint_metric_is_the_share_of_mails(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.work(
        *(ses_event("Delivery", f"m{number}", NOW) for number in range(4)), ses_event("Complaint", "m1", NOW)
    )

    lines = capsys.readouterr().out.splitlines()
    (line,) = [json.loads(line) for line in lines if '"EmailComplaintShare"' in line]
    assert sorted(line["EmailComplaintShare"]) == [0, 0, 0, 0, 1]


def test_no_address_and_no_text_of_a_server_is_kept_or_logged(
    bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"5.1.1 (user <{ADDRESS}> unknown; see https://evil.example)"
    recipients = [{"emailAddress": ADDRESS, "status": words, "diagnosticCode": words}]
    event = ses_event("Bounce", sent(mojodex.user()), NOW, bouncedRecipients=recipients, bounceSubType="<b>")

    bundle.work(event)

    assert mojodex.run("SELECT reasons FROM md_background_mail") == ["bounce: b 5.1.1"]
    printed = capsys.readouterr()
    assert ADDRESS not in printed.out + printed.err
    assert "evil" not in printed.out + printed.err


# Invalid events.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("no JSON", "message: Invalid JSON"),
        ({}, "source: Field required"),
        ({"source": "aws.ses", "detail": {}}, "detail: Unable to extract tag"),
        (ses_event("Open", "m", NOW), "does not match any of the expected tags"),
        (ses_event("Delivery", "m", NOW) | {"source": "mine"}, "source: Input should be 'aws.ses'"),
        (ses_event("Delivery", "m", NOW, configuration_set="other"), "another configuration set"),
        (ses_event("Delivery", "m\0", NOW), "messageId: String should match"),
        (ses_event("Delivery", "m", NOW, timestamp="2026-12-01T08:00:00"), "should have timezone info"),
        (ses_event("Delivery", "m", NOW, timestamp="9999-12-31T23:59:59Z"), "should be less than"),
        (ses_event("Bounce", "m", NOW, bounceType="Odd"), "bounceType: Input should be"),
    ],
)
def test_an_invalid_event_is_a_dead_letter_and_the_rest_of_its_batch_is_saved(
    bundle: Bundle,
    mojodex: Mojodex,
    sent: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    body: Any,
    reason: str,
) -> None:
    message_id = sent(mojodex.user())

    answer = bundle.work(body, ses_event("Delivery", message_id, NOW))

    assert answer == {"batchItemFailures": []}
    ((letter, why),) = bundle.dead_letters()
    assert letter == (body if isinstance(body, str) else json.dumps(body))
    assert reason in why
    assert mail(mojodex, message_id).delivered_at == NOW
    assert emitted(capsys.readouterr().out)[SERVICE, "MessagesInvalid"] == 1


def test_the_message_is_retried_while_the_dead_letter_queue_is_unavailable(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: Any) -> None:
        raise TransientError("dead-letter queue: EndpointConnectionError")

    monkeypatch.setattr(queues, "dead_letter", away)
    event = sqs_event("no JSON")

    assert failed_ids(bundle.work_on(event)) == {event["Records"][0]["messageId"]}


def test_all_messages_are_retried_uncounted_while_the_database_is_unavailable(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_arguments: Any) -> None:
        raise TransientError("database: 57P01")

    delays = []
    monkeypatch.setattr(queues, "retry_later", lambda _url, _record, seconds: delays.append(seconds))
    monkeypatch.setattr(mail_ledger, "record", away)
    event = {
        "Records": [
            sqs_record(json.dumps(ses_event("Delivery", f"m{n}", NOW)), receive_count=9) for n in range(3)
        ]
    }

    assert failed_ids(bundle.work_on(event)) == {record["messageId"] for record in event["Records"]}
    assert len(delays) == 3
    assert min(delays) > 400
    assert dict(emitted(capsys.readouterr().out)) == {(SERVICE, "MessagesReturned"): 3}


def test_an_event_that_meets_an_unknown_error_does_not_delay_the_others(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = mail_ledger.record

    def odd(session: Session, mails: Any) -> Any:
        if any(each.message_id == "odd" for each in mails):
            raise ValueError("odd")
        return record(session, mails)

    monkeypatch.setattr(mail_ledger, "record", odd)
    event = sqs_event(*(ses_event("Delivery", message_id, NOW) for message_id in ("m1", "odd", "m2")))

    assert failed_ids(bundle.work_on(event)) == {event["Records"][1]["messageId"]}
    assert mojodex.run("SELECT count(*) FROM md_background_mail WHERE delivered_at IS NOT NULL") == 2


def test_events_are_retried_when_time_is_short(bundle: Bundle, mojodex: Mojodex) -> None:
    event = sqs_event(ses_event("Delivery", "m", NOW))

    answer = bundle.worker.handler(event, FakeContext(seconds=10))

    assert failed_ids(answer) == {event["Records"][0]["messageId"]}
    assert mojodex.run("SELECT count(*) FROM md_background_mail") == 0


# Consequences for the user.


def test_feedback_about_a_mail_that_is_saved_later_still_blocks(
    bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str]
) -> None:
    user_id = mojodex.user()
    bundle.work(ses_event("Bounce", f"ses-{user_id}-1", NOW + HOUR, sent_at=NOW))
    assert block(mojodex, user_id) is None

    sent(user_id)

    assert is_blocked(mojodex, user_id) == "bounce"


def test_three_soft_bounces_in_a_row_pause_mails_for_a_week_unless_one_between_was_delivered(
    bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str]
) -> None:
    user_id = mojodex.user()
    ids = [sent(user_id, number, NOW + number * DAY) for number in range(4)]
    bounces = [soft_bounce(ids[n], NOW + n * DAY + HOUR, sent_at=NOW + n * DAY) for n in (0, 1, 3)]

    bundle.work(*bounces[:2])
    assert block(mojodex, user_id) is None
    bundle.work(bounces[2])

    last = NOW + 3 * DAY + HOUR
    there = block(mojodex, user_id)
    assert (there.kind, there.since, there.until) == ("soft bounces", last, last + PAUSE)
    assert is_blocked(mojodex, user_id, last + PAUSE - HOUR) == "soft bounces"
    assert is_blocked(mojodex, user_id, last + PAUSE) is None

    bundle.work(ses_event("Delivery", ids[2], NOW + 2 * DAY + HOUR, sent_at=NOW + 2 * DAY))
    assert block(mojodex, user_id) is None


def test_a_block_belongs_to_an_address(bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str]) -> None:
    user_id = mojodex.user()
    bundle.work(ses_event("Bounce", sent(user_id), NOW))
    assert is_blocked(mojodex, user_id) == "bounce"

    change = "UPDATE md_user SET email = :e WHERE user_id = :u"
    mojodex.run(change, e="new@example.com", u=user_id)
    assert is_blocked(mojodex, user_id) is None

    mojodex.run(change, e=f"{user_id}@example.com", u=user_id)
    assert is_blocked(mojodex, user_id) == "bounce"


def test_an_operator_lifts_a_block_until_the_next_bounce(
    bundle: Bundle, mojodex: Mojodex, sent: Callable[..., str]
) -> None:
    user_id = mojodex.user()
    bundle.work(ses_event("Complaint", sent(user_id), NOW))

    def lift(now: datetime) -> str | None:
        with bundle.database.session() as session:
            kind = mail_ledger.lift(session, user_id, "carla", now)
            session.commit()
        return kind

    assert lift(NOW + DAY) == "complaint"
    assert lift(NOW + DAY) is None
    assert is_blocked(mojodex, user_id, NOW + DAY) is None
    there = block(mojodex, user_id)
    assert (there.kind, there.lifted_by, there.lifted_at) == ("complaint", "carla", NOW + DAY)

    # A bounce from before the lift, reported late, changes nothing. A later bounce blocks again.
    bundle.work(ses_event("Bounce", sent(user_id, 2), NOW + HOUR))
    assert is_blocked(mojodex, user_id, NOW + DAY) is None
    bundle.work(ses_event("Bounce", sent(user_id, 3), NOW + 2 * DAY))
    assert is_blocked(mojodex, user_id, NOW + 2 * DAY) == "bounce"
    assert lift(NOW + 3 * DAY) == "bounce"


@pytest.mark.parametrize(
    "statistics",
    [
        "ANALYZE md_background_mail",
        "DELETE FROM pg_statistic WHERE starelid = 'md_background_mail'::regclass",
    ],
)
def test_mails_are_looked_up_by_an_index(mojodex: Mojodex, statistics: str) -> None:
    mojodex.run(
        "INSERT INTO md_background_mail (message_id, user_id, address, sent_at, reasons)"
        " SELECT i, 'user-' || i % 400, 'a@example.org', now() - i * interval '1 s', '{}'"
        " FROM generate_series(1, 20000) AS i"
    )
    mojodex.run(statistics)

    lookups = {
        "mojodex_background_mail_by_user": (mail_ledger.MAILS, {"user_id": "user-7"}),
        "md_background_mail_pkey": (mail_ledger.LOCK, {"ids": ["7", "17"]}),
    }

    for index, (statement, values) in lookups.items():
        plan = "\n".join(row[0] for row in mojodex.rows(f"EXPLAIN {statement}", **values))
        assert index in plan, plan
        assert "Seq Scan" not in plan


# The mail of the next day.


@pytest.fixture
def events(make_bundle: Callable[..., Bundle], ses: FakeSes, model: FakeModel) -> Iterator[Bundle]:
    model.answers(Reply({"subject": "Your day", "greeting": "", "intro": "", "lines": [], "closing": ""}))
    with time_machine.travel(NOW):
        yield make_bundle("events")


def due_user(mojodex: Mojodex) -> str:
    user_id = mojodex.user()
    execution = mojodex.execution("x", user_id=user_id, extracted=True)
    mojodex.scheduled(execution, "Call Bob", TODAY, moved_at=NOW - 9 * DAY)
    return user_id


def ask(user_id: str) -> dict[str, str]:
    return {"event_type": "todo_daily_emails", "user_id": user_id}


def test_a_mail_is_saved_with_its_user_and_the_address_that_it_went_to(
    events: Bundle, mojodex: Mojodex
) -> None:
    user_id = due_user(mojodex)

    assert events.work(ask(user_id)) == {"batchItemFailures": []}

    row = mail(mojodex, "id-1")
    assert (row.user_id, row.address) == (user_id, f"{user_id}@example.com")
    assert row.job == f"2026-12-01-events-todo_daily_emails-{user_id}"
    assert timedelta() <= row.sent_at - NOW < HOUR
    assert row.delivered_at is None


def test_feedback_that_arrives_before_our_own_commit_counts_after_it(
    events: Bundle, make_bundle: Callable[..., Bundle], mojodex: Mojodex
) -> None:
    user_id = due_user(mojodex)
    make_bundle("mail_feedback").work(ses_event("Bounce", "id-1", NOW))

    assert events.work(ask(user_id)) == {"batchItemFailures": []}

    assert mojodex.job(f"todo_daily_emails:{user_id}", "events").state == "done"
    assert is_blocked(mojodex, user_id) == "bounce"


@pytest.mark.parametrize(
    ("tells", "reason"),
    [
        (lambda m: [ses_event("Bounce", m[0], NOW - DAY)], "mails to the user's address bounce"),
        (lambda m: [ses_event("Complaint", m[0], NOW - DAY)], "the user has marked a mail as spam"),
        (
            lambda m: [soft_bounce(each, NOW - DAY) for each in m],
            "the user's address refused the last mails, so there is a pause",
        ),
    ],
    ids=["bounce", "complaint", "soft bounces"],
)
def test_a_blocked_user_is_not_due_and_costs_no_call_of_the_model(
    events: Bundle,
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    ses: FakeSes,
    sent: Callable[..., str],
    tells: Callable[[list[str]], list[dict[str, Any]]],
    reason: str,
) -> None:
    blocked, other = due_user(mojodex), due_user(mojodex)
    bundle.work(*tells([sent(blocked, number, NOW - number * DAY) for number in range(3)]))

    assert events.schedule() == 1
    (message,) = events.queued()
    assert message["user_id"] == other
    events.work(ask(blocked))

    job = mojodex.job(f"todo_daily_emails:{blocked}", "events")
    assert (job.state, job.outcome) == ("skipped", {"reason": reason})
    assert model.calls == []
    assert ses.mails == []

    mojodex.run("UPDATE md_user SET email = 'new@example.com' WHERE user_id = :u", u=blocked)
    assert events.schedule() == 1


# All kinds of events: in any order, twice, some before their mail.


@dataclass
class Story:
    """Mails with their users and times, and SES's events about them in the order of time."""

    mails: list[Mail] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


def story(luck: random.Random, number_of_events: int) -> Story:
    """Make users, their daily mails, and the events of each mail."""
    told = Story()
    happened: list[tuple[datetime, int, dict[str, Any]]] = []
    while len(happened) < number_of_events:
        number = len(told.mails)
        user, day = f"user-{number % 40}", number // 40
        at = NOW + day * DAY + luck.uniform(0, 60) * timedelta(minutes=1)
        # SES gives milliseconds.
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        message_id = f"ses-{number}"
        told.mails.append(
            Mail(
                message_id, at + timedelta(seconds=1), user_id=user, address=f"{user}@example.com", job="job"
            )
        )

        def tell(
            kind: Callable[..., dict[str, Any]],
            *name: str,
            after: timedelta = HOUR,
            of: Any = (message_id, at),
        ) -> None:
            its_id, its_at = of
            moment = its_at + after
            event = kind(*name, its_id, moment, sent_at=its_at, job="job")
            happened.append((moment, len(happened), event))

        tell(ses_event, "Send", after=timedelta())
        outcome = luck.random()
        if outcome < 0.55:
            tell(ses_event, "Delivery")
        elif outcome < 0.93:
            tell(soft_bounce, after=luck.uniform(1, 50) * HOUR)
        elif outcome < 0.96:
            tell(ses_event, "Bounce")
        elif outcome < 0.98:
            tell(ses_event, "Delivery")
            tell(ses_event, "Complaint", after=luck.uniform(2, 90) * HOUR)
        elif outcome < 0.99:
            tell(ses_event, "Reject")
    told.events = [event for _, _, event in sorted(happened)[:number_of_events]]
    return told


def end(mojodex: Mojodex) -> tuple[list[Any], list[Any]]:
    return (
        mojodex.rows("SELECT * FROM md_background_mail ORDER BY message_id"),
        mojodex.rows("SELECT * FROM md_background_mail_block ORDER BY user_id, address"),
    )


def save(database: Database, *mails: Mail) -> None:
    for each in mails:
        with database.session() as session:
            mail_ledger.record(session, [each])
            session.commit()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_events_twice_in_any_order_have_the_same_result_as_in_order(
    bundle: Bundle, mojodex: Mojodex, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    luck = random.Random(seed)
    told = story(luck, 1000)
    assert len(told.events) == 1000

    save(bundle.database, *told.mails)
    for event in told.events:
        assert bundle.work(event) == {"batchItemFailures": []}
    in_order, counted = end(mojodex), emitted(capsys.readouterr().out)
    mojodex.empty()

    # One event in twenty precedes the commit of its mail, which is saved at a random time.
    late = set(luck.sample([mail.message_id for mail in told.mails], len(told.mails) // 20))
    save(bundle.database, *(mail for mail in told.mails if mail.message_id not in late))
    steps: list[Any] = [*told.events, *told.events, *(mail for mail in told.mails if mail.message_id in late)]
    luck.shuffle(steps)
    before = {
        event["detail"]["mail"]["messageId"]
        for number, event in enumerate(steps)
        if isinstance(event, dict)
        and any(
            isinstance(m, Mail) and m.message_id == event["detail"]["mail"]["messageId"]
            for m in steps[number:]
        )
    }
    assert len(before) > len(late) / 2

    def run(some: tuple[Any, ...]) -> None:
        bodies = [each for each in some if isinstance(each, dict)]
        save(bundle.database, *(each for each in some if isinstance(each, Mail)))
        if bodies:
            assert bundle.work(*bodies) == {"batchItemFailures": []}

    # Four workers at once.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, batched(steps, 10, strict=False)))

    mails, blocks = end(mojodex)
    assert mails == in_order[0]
    assert blocks == in_order[1]
    assert {"complaint", "bounce", "soft bounces"} <= {each.kind for each in blocks}
    assert emitted(capsys.readouterr().out) == counted
