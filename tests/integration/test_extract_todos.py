"""extract_todos on a real database: saved and left-out steps, and that each task takes effect once."""

import io
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from mojodex import jobs
from mojodex.clock import next_working_day
from mojodex.observability import logger
from tests.fake_model import FakeModel, Reply, prompt_of, todos
from tests.integration.conftest import Bundle
from tests.lambda_events import failed_ids, sqs_event, sqs_record
from tests.metrics import emitted
from tests.mojodex import Mojodex

TODAY = datetime.now(UTC).date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
SAID = "I'll send the offer to Bob tomorrow."
# Words without a day, so that they decide nothing.
SOON = "I'll send the offer to Bob soon."


def message(pk: Any) -> dict[str, Any]:
    return {"user_task_execution_pk": pk}


def test_a_step_that_the_user_named_becomes_a_todo_with_a_date(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(todos(("Send the offer to Bob", TOMORROW, SAID)))

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    assert mojodex.todos_of(pk) == [("Send the offer to Bob", TOMORROW)]
    assert mojodex.is_extracted(pk)
    job = mojodex.job(pk)
    assert (job.state, job.attempts) == ("done", 1)
    assert job.outcome["todos"][0]["evidence"] == SAID


def test_an_answer_without_todos_is_valid(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution("Thanks, that was all.")
    model.answers(todos())

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []
    assert mojodex.is_extracted(pk)
    assert mojodex.job(pk).outcome == {"todos": [], "left_out": []}


def test_the_prompt_has_the_conversation_the_result_and_the_open_todos(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    user = mojodex.user(timezone_offset=-120)
    root = mojodex.execution("root", user_id=user, extracted=True)
    middle = mojodex.execution("middle", user_id=user, after=root, extracted=True)
    other = mojodex.execution("other", user_id=user, extracted=True)
    mojodex.todo(other, "Water the plants")
    mojodex.todo(root, "Call the caterer")
    mojodex.todo(root, "Old and completed", completed=True)
    mojodex.todo(mojodex.execution("stranger", extracted=True), "Somebody else's")
    pk = mojodex.execution("First words.", SAID, user_id=user, after=middle, result="The signed minutes.")

    bundle.work(message(pk))

    prompt = prompt_of(model.calls[0])
    assert prompt.index("user: First words.") < prompt.index(f"user: {SAID}")
    assert "The signed minutes." in prompt
    assert prompt.index("- Call the caterer") < prompt.index("- Water the plants")
    assert "Old and completed" not in prompt
    assert "Somebody else's" not in prompt
    assert "Sell more" in prompt


def test_a_cycle_in_the_chain_of_tasks_does_not_hang(bundle: Bundle, mojodex: Mojodex) -> None:
    user = mojodex.user()
    first = mojodex.execution("a", user_id=user)
    second = mojodex.execution("b", user_id=user, after=first)
    mojodex.run(
        "UPDATE md_user_task_execution SET predefined_action_from_user_task_execution_fk = :s"
        " WHERE user_task_execution_pk = :f",
        s=second,
        f=first,
    )

    response = bundle.work(message(first))

    assert response == {"batchItemFailures": []}
    assert mojodex.job(first).state == "done"


@pytest.mark.parametrize("offset", [-840, -330, 0, 300, 840])
def test_today_is_the_users_local_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, offset: int
) -> None:
    pk = mojodex.execution(SAID, user_id=mojodex.user(timezone_offset=offset))

    bundle.work(message(pk))

    local = datetime.now(UTC) - timedelta(minutes=offset)
    assert f"Today is {local.date().isoformat()} ({local:%A})" in prompt_of(model.calls[0])


def test_a_message_without_text_is_left_out_of_the_conversation(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution("Hello.")
    for odd in ({"image": "x.png"}, {"text": None}, {"text": 7}, [], "text", None):
        mojodex.run(
            "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
            " SELECT session_id, 'user', CAST(:m AS json), now(), now() FROM md_user_task_execution"
            " WHERE user_task_execution_pk = :e",
            m=json.dumps(odd),
            e=pk,
        )

    bundle.work(message(pk))

    assert mojodex.job(pk).state == "done"
    assert prompt_of(model.calls[0]).count("user: ") == 1


def test_text_that_utf8_or_postgres_cannot_hold_does_not_fail_the_job(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution("I'll call \ud800 Bob today.")
    model.answers(todos(("Call Bob\0", TODAY.isoformat(), "I'll call ? Bob today.")))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == [("Call Bob", TODAY.isoformat())]


def test_a_long_conversation_is_cut_oldest_first_and_the_result_never(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(conversation_token_budget=1000)
    result = "result word " * 2000
    pk = mojodex.execution("oldest " * 900, "middle " * 900, "newest words", result=result)

    bundle.work(message(pk))

    prompt = prompt_of(model.calls[0])
    assert "newest words" in prompt
    assert prompt.count("middle") == 900
    assert 0 < prompt.count("oldest") < 150
    assert result.strip() in prompt


# The model is not trusted.


def test_an_invented_todo_is_not_saved(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution(SAID)
    model.answers(
        todos(
            ("Buy a boat", TOMORROW, "I'll buy a boat."),
            ("Send the offer to Bob", TOMORROW, "I’LL  SEND the offer to “Bob” tomorrow"),
            ("No evidence", TOMORROW, ""),
        )
    )

    bundle.work(message(pk))

    assert [description for description, _ in mojodex.todos_of(pk)] == ["Send the offer to Bob"]
    left_out = mojodex.job(pk).outcome["left_out"]
    assert [step["reason"] for step in left_out] == ["the user did not say so"] * 2


def test_a_proposal_of_mojo_is_no_evidence(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution("Hello.")
    mojodex.run(
        "INSERT INTO md_message (session_id, sender, message, creation_date, message_date)"
        " SELECT session_id, 'mojo', '{\"text\": \"You could call Bob.\"}', now(), now()"
        " FROM md_user_task_execution WHERE user_task_execution_pk = :e",
        e=pk,
    )
    model.answers(todos(("Call Bob", TOMORROW, "You could call Bob.")))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []


def test_a_step_that_is_already_on_the_list_is_left_out(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    user = mojodex.user()
    mojodex.todo(mojodex.execution("x", user_id=user, extracted=True), "Send the offer to Bob.")
    pk = mojodex.execution(SAID, user_id=user)
    model.answers(todos(("send the  Offer to Bob", TOMORROW, SAID)))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []
    assert mojodex.job(pk).outcome["left_out"][0]["reason"] == "it is on the list already"


def test_after_a_wrong_date_the_model_is_asked_once_more_with_the_fault(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(todos(("Send the offer", "tomorrow", SAID)), todos(("Send the offer", TOMORROW, SAID)))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]
    assert len(model.calls) == 2
    assert "YYYY-MM-DD" in model.calls[1]["messages"][2]["content"]


@pytest.mark.parametrize("wrong", ["tomorrow", None, "", "2001-01-01", "9999-12-31", "2026-02-30"])
def test_a_date_that_stays_wrong_becomes_the_next_working_day(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, wrong: str | None
) -> None:
    pk = mojodex.execution(SOON)
    model.answers(todos(("Send the offer", wrong, SOON)))

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == [("Send the offer", next_working_day(TODAY).isoformat())]
    assert len(model.calls) == 2


def test_after_an_unusable_second_answer_the_first_one_counts(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SOON)
    model.answers(todos(("Send the offer", "soon", SOON)), Reply(refusal="No."))

    bundle.work(message(pk))

    due = date.fromisoformat(mojodex.todos_of(pk)[0][1])
    assert due == next_working_day(TODAY)


def test_two_executions_of_one_user_at_once_save_no_duplicate(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read the list before either of them saved."""
    user, stranger = mojodex.user(), mojodex.user()
    pks = [mojodex.execution(SAID, user_id=user) for _ in range(2)]
    elsewhere = mojodex.execution(SAID, user_id=stranger)
    have_read, finish = threading.Barrier(3), jobs.finish

    def script(_request: dict[str, Any]) -> Reply:
        have_read.wait(20)
        return todos(("Send the offer to Bob", TOMORROW, SAID))

    def finish_late(*args: Any, **kwargs: Any) -> None:
        # The to-dos are written but not yet committed.
        time.sleep(0.5)
        finish(*args, **kwargs)

    model.script = script
    monkeypatch.setattr(jobs, "finish", finish_late)

    assert bundle.work(*map(message, [*pks, elsewhere])) == {"batchItemFailures": []}

    assert sorted(len(mojodex.todos_of(pk)) for pk in pks) == [0, 1]
    left_out = [step for pk in pks for step in mojodex.job(pk).outcome["left_out"]]
    assert left_out == [{"description": "Send the offer to Bob", "reason": "it is on the list already"}]
    assert all(mojodex.is_extracted(pk) for pk in pks)
    assert len(mojodex.todos_of(elsewhere)) == 1


def test_a_todo_added_during_the_models_call_is_not_saved_again(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    user = mojodex.user()
    pk = mojodex.execution(SAID, "I will call Ann.", user_id=user)
    other = mojodex.execution("x", user_id=user, extracted=True)

    def script(_request: dict[str, Any]) -> Reply:
        mojodex.todo(other, "send the OFFER")
        return todos(("Call Ann", TOMORROW, "I will call Ann."), ("Send the offer.", TOMORROW, SAID))

    model.script = script
    bundle.work(message(pk))

    assert [description for description, _ in mojodex.todos_of(pk)] == ["Call Ann"]
    outcome = mojodex.job(pk).outcome
    assert [todo["evidence"] for todo in outcome["todos"]] == ["I will call Ann."]
    assert outcome["left_out"] == [{"description": "Send the offer.", "reason": "it is on the list already"}]
    sums = emitted(capsys.readouterr().out)
    assert sums["extract_todos", "TodosExtracted"] == sums["extract_todos", "TodosLeftOut"] == 1


def test_each_todo_has_its_own_date_and_its_own_evidence(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    """One statement inserts all of them, and they are paired by the order of their keys."""
    odd = ['"quoted"', "{a,b}", "back\\slash", "NULL", "two\nlines", "", "it's 100 %", ":pk", "日本語"]
    said = [f"I will do {n} {text}" for n, text in enumerate(odd)]
    days = [(TODAY + timedelta(days=(7 * n) % 11)).isoformat() for n in range(len(odd))]
    pk = mojodex.execution(*said)
    model.answers(todos(*((f"{text} no. {n}", days[n], said[n]) for n, text in enumerate(odd))))

    bundle.work(message(pk))

    described = [(" ".join(f"{text} no. {n}".split()), days[n]) for n, text in enumerate(odd)]
    assert mojodex.todos_of(pk) == described
    found = mojodex.job(pk).outcome["todos"]
    assert [todo["evidence"] for todo in found] == [words.strip() for words in said]
    keys = [row.todo_pk for row in mojodex.rows("SELECT todo_pk FROM md_todo ORDER BY todo_pk")]
    assert [todo["todo_pk"] for todo in found] == keys


@pytest.mark.parametrize("column", ["todos_extracted", "deleted_by_user"])
def test_an_execution_extracted_or_deleted_during_the_models_call_stays_as_it_is(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, column: str
) -> None:
    """Mojodex's own Background may run beside the bundle and extract the same execution."""
    pk = mojodex.execution(SAID)
    theirs = datetime(2026, 1, 2, tzinfo=UTC)

    def script(_request: dict[str, Any]) -> Reply:
        mojodex.run(
            f"UPDATE md_user_task_execution SET {column} = :at WHERE user_task_execution_pk = :e",
            at=theirs,
            e=pk,
        )
        mojodex.scheduled(pk, "Theirs", TODAY)
        return todos(("Send the offer to Bob", TOMORROW, SAID))

    model.script = script

    assert bundle.work(message(pk)) == {"batchItemFailures": []}

    assert mojodex.todos_of(pk) == [("Theirs", TODAY.isoformat())]
    marked = f"SELECT {column} FROM md_user_task_execution WHERE user_task_execution_pk = :e"
    assert mojodex.run(marked, e=pk) == theirs
    job = mojodex.job(pk)
    assert job.state == "skipped"
    assert job.outcome == {"reason": "it was extracted or deleted in the meantime"}


# Duplicates and failures: a task takes effect once.


def test_a_message_delivered_three_times_at_once_is_handled_once(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.script = lambda _request: Reply(todos(("Send the offer", TOMORROW, SAID)).content, delay=0.5)
    bundle.schedule()
    messages = [*bundle.queued(), message(pk), message(pk)]

    with ThreadPoolExecutor() as threads:
        responses = list(threads.map(bundle.work, messages))

    assert len(messages) == 3
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]
    assert len(model.calls) == 1
    assert sum(len(response["batchItemFailures"]) for response in responses) == 2
    assert bundle.work(message(pk)) == {"batchItemFailures": []}
    assert len(model.calls) == 1


def test_a_holder_whose_lease_was_taken_over_writes_nothing(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    asked, may_answer = threading.Event(), threading.Event()

    def script(_request: dict[str, Any]) -> Reply:
        if not asked.is_set():
            asked.set()
            may_answer.wait(20)
        return todos(("Send the offer", TOMORROW, SAID))

    model.script = script
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(bundle.work, message(pk))
        assert asked.wait(20)
        # The slow worker counts as dead because its lease has expired.
        mojodex.run("UPDATE md_background_job SET started_at = started_at - interval '10 minutes'")
        quick = bundle.work(message(pk))
        may_answer.set()
        slow.result()

    assert quick == {"batchItemFailures": []}
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]
    assert mojodex.job(pk).attempts == 2


GOOD = todos(("Send the offer", TOMORROW, SAID))


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=429, headers={"Retry-After": "1"}),
        Reply(status=500),
        Reply(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(body="<html>", status=502),
        Reply(body="not json at all"),
        Reply(body="{}"),
        Reply(body="<html>welcome</html>", headers={"Content-Type": "text/html"}),
        Reply(body='{"choices": [{"index": 0}]}'),
        Reply(content="{'todos': oops"),
        Reply(content=""),
        Reply(content=None),
        Reply(content={"todos": "none"}),
        Reply(content={"todos": [True]}),
        Reply(content={"answer": 42}),
        Reply(content='{"todos": [', finish_reason="length"),
    ],
    ids=lambda reply: f"{reply.status} {reply.body or reply.content}"[:40],
)
def test_after_a_bad_answer_the_model_is_asked_again_and_the_todo_saved_once(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, bad: Reply
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(bad, GOOD)

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]
    assert len(model.calls) == 2


def test_after_a_timeout_the_next_model_is_asked(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_timeout_seconds=3)
    pk = mojodex.execution(SAID)
    model.script = lambda request: Reply(GOOD.content, delay=10 if request["model"] == "gpt-5-mini" else 0)

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    assert [call["model"] for call in model.calls] == ["gpt-5-mini", "gpt-4.1"]
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]


@pytest.mark.parametrize("what", ["drips", "header_drips"])
def test_a_model_that_keeps_the_connection_alive_but_does_not_answer_times_out(
    make_bundle: Any, mojodex: Mojodex, model: FakeModel, what: str
) -> None:
    bundle = make_bundle(llm_timeout_seconds=3)
    pk = mojodex.execution(SAID)
    model.script = lambda request: Reply(
        GOOD.content, **{what: 50 if request["model"] == "gpt-5-mini" else 1}
    )

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    assert [call["model"] for call in model.calls] == ["gpt-5-mini", "gpt-4.1"]


@pytest.mark.parametrize("answer", [None, [], "the corrected one only"])
def test_a_second_answer_corrects_dates_and_loses_no_step(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, answer: Any
) -> None:
    other = "I'll call Ann about it."
    pk = mojodex.execution(SAID, other)
    wrong = [("Send the offer", TOMORROW, SAID), ("Call Ann", "2020-01-01", other)]
    # Further away than the next working day can be.
    right = (TODAY + timedelta(days=10)).isoformat()
    corrected = todos(("Call Ann", right, other))
    model.answers(todos(*wrong), corrected if answer else Reply({"todos": answer}))

    bundle.work(message(pk))

    due = dict(mojodex.todos_of(pk))
    assert due["Send the offer"] == TOMORROW
    assert due["Call Ann"] == (right if answer else next_working_day(TODAY).isoformat())


def test_the_message_is_retried_while_the_model_is_unavailable(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(status=429, headers={"Retry-After": "60"}))
    event = sqs_event(message(pk))

    response = bundle.work_on(event)

    assert failed_ids(response) == {event["Records"][0]["messageId"]}
    assert mojodex.job(pk).state == "queued"
    assert mojodex.todos_of(pk) == []
    model.answers(GOOD)
    assert bundle.work_on(event) == {"batchItemFailures": []}
    assert mojodex.todos_of(pk) == [("Send the offer", TOMORROW)]


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(refusal="I cannot help with that."),
        Reply(content="{}", finish_reason="content_filter"),
        Reply(status=400, error_code="content_filter"),
        Reply(status=400, error_code="invalid_prompt"),
    ],
    ids=["refusal", "filtered", "400", "flagged"],
)
def test_a_refusal_fails_the_job_with_its_reason_and_is_not_tried_again(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    refusal: Reply,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(refusal)

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    job = mojodex.job(pk)
    assert job.state == "failed"
    assert "refuses" in job.outcome["reason"]
    assert mojodex.run("SELECT count(*) FROM md_error WHERE message LIKE :m", m=f"%{pk}%refuses%") == 1
    metrics = [line for line in capsys.readouterr().out.splitlines() if '"JobsFailed"' in line]
    assert [json.loads(line)["JobsFailed"] for line in metrics] == [[1.0]]
    assert bundle.schedule() == 0
    assert bundle.work(message(pk)) == {"batchItemFailures": []}
    assert len(model.calls) == 1


def test_the_job_fails_after_three_invalid_answers(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(content="I think there are two to-dos."))

    bundle.work(message(pk))

    assert mojodex.job(pk).state == "failed"
    assert len(model.calls) == 3


def test_a_configuration_that_the_provider_refuses_fails_no_job(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)
    for status in (401, 403, 404, 400):
        model.answers(Reply(status=status))

        response = bundle.work(message(pk))

        assert len(response["batchItemFailures"]) == 1
        assert mojodex.job(pk).state == "queued"


def test_attempts_are_limited_across_deliveries(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution(SAID)
    model.answers(Reply(status=500))
    bundle.work(message(pk))
    mojodex.run("UPDATE md_background_job SET attempts = 20")
    model.calls.clear()

    response = bundle.work(message(pk))

    assert response == {"batchItemFailures": []}
    assert mojodex.job(pk).state == "failed"
    assert model.calls == []


def test_a_record_is_not_begun_when_time_is_short(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution(SAID)

    response = bundle.work(message(pk), seconds=15)

    assert len(response["batchItemFailures"]) == 1
    assert mojodex.job(pk) is None
    assert model.calls == []


def test_one_record_that_fails_does_not_hold_up_the_others(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    bad, good = mojodex.execution("This one fails."), mojodex.execution(SAID)
    model.script = lambda request: Reply(status=500) if "This one fails" in prompt_of(request) else GOOD
    event = {"Records": [sqs_record(json.dumps(message(pk))) for pk in (bad, good)]}

    response = bundle.work_on(event)

    assert failed_ids(response) == {event["Records"][0]["messageId"]}
    assert len(mojodex.todos_of(good)) == 1


def test_a_user_who_deletes_the_task_during_the_models_call_gets_no_todo(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    pk = mojodex.execution(SAID)

    def script(_request: dict[str, Any]) -> Reply:
        mojodex.run("UPDATE md_user_task_execution SET deleted_by_user = now()")
        return GOOD

    model.script = script

    bundle.work(message(pk))

    assert mojodex.todos_of(pk) == []
    assert mojodex.job(pk).state == "skipped"


def test_logs_and_metrics_hold_no_words_of_the_user(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    secret_words = "I'll tell Zanzibarov about the merger."
    pks = [mojodex.execution(secret_words) for _ in range(4)]
    replies = [todos(("Tell Zanzibarov", TOMORROW, secret_words)), Reply(refusal="Zanzibarov")]
    model.answers(*replies, Reply(content="Zanzibarov"))

    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    stream = handler.setStream(io.StringIO())
    try:
        for pk in pks:
            bundle.work(message(pk))
        bundle.work('{"Zanzibarov": 1, "user_task_execution_pk": "Zanzibarov"}')

        assert isinstance(handler.stream, io.StringIO)
        printed = "".join([*capsys.readouterr(), handler.stream.getvalue()])
    finally:
        handler.setStream(stream)

    assert "job ended" in printed
    lines = [line for line in printed.splitlines() if "message is not valid" not in line]
    assert "Zanzibarov" not in "\n".join(lines)
