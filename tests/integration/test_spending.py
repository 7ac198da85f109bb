"""The ledger records each job's spending on models, and a day's total has a limit."""

import json
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from mojodex.circuit import Circuits
from mojodex.database import Database
from mojodex.errors import TransientError
from mojodex.settings import SettingsError
from mojodex.spending import DAILY_SPEND_LIMIT, SLOTS, Budget, SpendingSettings
from tests.fake_model import FakeModel, Reply, todos
from tests.fake_ses import fake_ses
from tests.integration.conftest import PRICES, Bundle, Documents
from tests.integration.test_circuit import let_probe, open_circuits
from tests.integration.test_docs import STATEMENTS
from tests.lambda_events import sqs_event
from tests.metrics import emitted
from tests.mojodex import Mojodex

# The price of 100 prompt and 20 answer tokens of gpt-5-mini, as the fake model counts them.
USD = 100 * 0.25e-6 + 20 * 2e-6
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def calls(mojodex: Mojodex, pk: int) -> list[int]:
    return [entry["calls"] for entry in mojodex.job(pk).spent or []]


def spent_today(mojodex: Mojodex) -> float:
    return float(mojodex.run("SELECT COALESCE(sum(usd), 0) FROM md_background_spending"))


def extract(bundle: Bundle, mojodex: Mojodex, executions: int = 1) -> list[int]:
    pks = [mojodex.execution("I'll send the offer to Bob.") for _ in range(executions)]
    bundle.work(*({"user_task_execution_pk": pk} for pk in pks))
    return pks


def test_the_ledger_records_model_tier_tokens_and_price(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    answer = todos()
    answer.usage = {
        "prompt_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    answer.more = {"service_tier": "flex"}
    model.answers(answer)

    (pk,) = extract(bundle, mojodex)

    assert mojodex.job(pk).spent == [
        {
            "model": "gpt-5-mini",
            "tier": "flex",
            "calls": 1,
            "prompt_tokens": 1000,
            "cached_tokens": 600,
            "completion_tokens": 20,
            "reasoning_tokens": 12,
            "usd": pytest.approx((400 * 0.25 + 600 * 0.025 + 20 * 2) * 1e-6 / 2),
        }
    ]


def test_the_requested_tier_counts_if_the_server_does_not_name_one(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_service_tier="flex")

    (pk,) = extract(bundle, mojodex)

    (entry,) = mojodex.job(pk).spent
    assert (entry["tier"], entry["usd"]) == ("flex", pytest.approx(USD / 2))


def test_a_model_without_a_price_is_recorded_without_one(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex
) -> None:
    bundle = make_bundle(model_prices="")

    (pk,) = extract(bundle, mojodex)

    assert mojodex.job(pk).spent == [
        {"model": "gpt-5-mini", "calls": 1, "prompt_tokens": 100, "completion_tokens": 20}
    ]
    assert spent_today(mojodex) == 0


def test_the_spending_of_a_failed_attempt_stays_in_the_ledger(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    away = Reply(status=503)
    model.answers(Reply({"no": "todos"}), away, away, away, away, away, todos())
    (pk,) = extract(bundle, mojodex)
    assert (mojodex.job(pk).state, calls(mojodex, pk)) == ("queued", [1])
    mojodex.close_circuits()

    model.answers(todos())
    bundle.work({"user_task_execution_pk": pk})

    assert (mojodex.job(pk).state, calls(mojodex, pk)) == ("done", [2])
    assert spent_today(mojodex) == pytest.approx(2 * USD)


def test_a_failed_or_skipped_job_records_its_spending(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.answers(Reply(refusal="No."))
    (refused,) = extract(bundle, mojodex)

    def deleted_meanwhile(_request: dict[str, Any]) -> Reply:
        mojodex.run("UPDATE md_user_task_execution SET deleted_by_user = now()")
        return todos()

    model.script = deleted_meanwhile
    (skipped,) = extract(bundle, mojodex)

    assert (mojodex.job(refused).state, calls(mojodex, refused)) == ("failed", [1])
    assert (mojodex.job(skipped).state, calls(mojodex, skipped)) == ("skipped", [1])


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7.0, "completion_tokens": 3}, (7, 3)),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 1000}}, (100, 20)),
        ({"completion_tokens": None}, (100, 0)),
        ({"completion_tokens": -20}, (100, 0)),
        ({"completion_tokens": math.nan}, (100, 0)),
        # The SDK parses it as a number.
        ({"completion_tokens": "20"}, (100, 20)),
        ({"completion_tokens": [20]}, (100, 0)),
        ({"completion_tokens": math.inf}, (100, 1_000_000_000)),
        ({"completion_tokens": 10**400}, (100, 1_000_000_000)),
        ({"completion_tokens_details": [1], "prompt_tokens_details": "many"}, (100, 20)),
    ],
)
def test_odd_token_counts_break_neither_the_job_nor_the_total(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, usage: dict[str, Any], tokens: tuple[int, int]
) -> None:
    answer = todos()
    answer.usage = usage
    model.answers(answer)

    (pk,) = extract(bundle, mojodex)

    job = mojodex.job(pk)
    (entry,) = job.spent
    assert (job.state, entry["prompt_tokens"], entry.get("completion_tokens", 0)) == ("done", *tokens)
    assert entry["usd"] > 0
    assert spent_today(mojodex) == pytest.approx(entry["usd"])


@pytest.mark.parametrize("usage", [None, "many", {}, {"prompt_tokens": None}])
def test_tokens_that_a_server_does_not_count_are_estimated(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, usage: Any
) -> None:
    answer = todos()
    answer.more = {"usage": usage}
    model.answers(answer)

    (pk,) = extract(make_bundle(daily_spend_limit=1e-6), mojodex)

    (entry,) = mojodex.job(pk).spent
    prompt = str(model.calls[0]["messages"][0]["content"])
    assert entry["prompt_tokens"] == len(prompt.encode()) // 4
    assert entry["completion_tokens"] > 0
    assert open_circuits(mojodex) == {DAILY_SPEND_LIMIT}


@pytest.mark.parametrize(
    ("tier", "kept"),
    [({"a": 1}, None), (["x"], None), ("fl\x00ex", "flex"), ("\ud800" * 100, "?" * 32), ("", None)],
)
def test_an_odd_tier_does_not_break_the_job(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel, tier: Any, kept: str | None
) -> None:
    answer = todos()
    answer.more = {"service_tier": tier}
    model.answers(answer)

    (pk,) = extract(bundle, mojodex)

    (entry,) = mojodex.job(pk).spent
    assert (mojodex.job(pk).state, entry.get("tier")) == ("done", kept)


def test_an_answer_without_choices_is_paid(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    answer = todos()
    answer.more = {"choices": []}
    model.answers(answer)

    (pk,) = extract(bundle, mojodex)

    assert mojodex.job(pk).state == "queued"
    # Two tries of each model.
    assert calls(mojodex, pk) == [2, 2]


@pytest.mark.parametrize("usage", [{"prompt_tokens": 100_000}, {"total_tokens": 100_000}, None, "many"])
def test_unusable_vectors_are_paid_and_stop_at_the_limit(
    make_documents: Callable[..., Documents], mojodex: Mojodex, model: FakeModel, usage: Any
) -> None:
    documents = make_documents(daily_spend_limit=0.0001)
    documents.site.simple("/")
    documents.ask()

    def too_long(request: dict[str, Any]) -> Reply:
        data = [{"index": i, "embedding": [0.1] * 3072} for i, _ in enumerate(request["input"])]
        return Reply(body=json.dumps({"object": "list", "data": data, "usage": usage}))

    model.embed = too_long
    bodies = documents.pages.queued()
    for _ in range(10):
        documents.pages.work(*bodies)

    (row,) = mojodex.rows("SELECT spent FROM md_background_job WHERE process = 'ingest_page'")
    paid = {entry["model"]: entry["calls"] for entry in row.spent}
    assert paid["text-embedding-ada-002"] == len(model.embeddings)
    assert len(model.embeddings) < 10 or usage in (None, "many")


def test_a_page_pays_for_its_judgement_and_its_embeddings(documents: Documents, mojodex: Mojodex) -> None:
    documents.site.simple("/")

    documents.read()

    (row,) = mojodex.rows("SELECT spent FROM md_background_job WHERE process = 'ingest_page'")
    assert {entry["model"]: entry["calls"] for entry in row.spent} == {
        "gpt-5-mini": 1,
        "text-embedding-ada-002": 1,
    }
    assert spent_today(mojodex) == pytest.approx(sum(entry["usd"] for entry in row.spent))


def test_the_total_of_a_day_is_the_sum_of_its_jobs(
    bundle: Bundle, mojodex: Mojodex, capsys: pytest.CaptureFixture[str]
) -> None:
    with time_machine.travel(NOON, tick=False):
        extract(bundle, mojodex, 10)
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        extract(bundle, mojodex, 5)

    rows = mojodex.rows("SELECT day, process, sum(usd) AS usd FROM md_background_spending GROUP BY 1, 2")
    assert {(str(row.day), row.process): row.usd for row in rows} == {
        ("2026-12-01", "extract_todos"): pytest.approx(10 * USD),
        ("2026-12-02", "extract_todos"): pytest.approx(5 * USD),
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "ModelCost" in line]
    assert [line["ModelCost"] for line in lines] == [[pytest.approx(10 * USD)], [pytest.approx(5 * USD)]]


def test_concurrent_workers_lose_no_cent(bundle: Bundle, mojodex: Mojodex) -> None:
    settings = SpendingSettings.from_environment({})

    def spend(_: int) -> None:
        budget = Budget(bundle.database, settings, Circuits(bundle.database))
        budget.add(0.25)
        budget.save("extract_todos", NOON)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(spend, range(100)))

    assert spent_today(mojodex) == 25
    assert 1 < mojodex.run("SELECT count(*) FROM md_background_spending") <= SLOTS


def test_spending_is_saved_later_if_the_database_is_unavailable(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget(bundle.database, SpendingSettings(), Circuits(bundle.database))
    with monkeypatch.context() as away:
        away.setattr(Database, "session", _away)
        budget.add(1)
        budget.save("events", NOON)

    budget.add(2)
    budget.save("events", NOON)

    assert spent_today(mojodex) == 3


def test_a_total_that_cannot_be_written_fails_no_job(
    bundle: Bundle, mojodex: Mojodex, caplog: pytest.LogCaptureFixture
) -> None:
    mojodex.run("ALTER TABLE md_background_spending RENAME TO elsewhere")
    try:
        pk = mojodex.execution("I'll send the offer to Bob.")
        answer = bundle.work({"user_task_execution_pk": pk}, "nonsense")
    finally:
        mojodex.run("ALTER TABLE elsewhere RENAME TO md_background_spending")

    assert answer["batchItemFailures"] == []
    assert (mojodex.job(pk).state, len(bundle.dead_letters())) == ("done", 1)
    assert "cost of models was not saved" in caplog.text
    extract(bundle, mojodex)
    assert spent_today(mojodex) == pytest.approx(2 * USD)


def test_the_total_includes_the_spending_of_a_batch_before_it_was_killed(
    bundle: Bundle, mojodex: Mojodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    pks = [mojodex.execution("I'll send the offer to Bob.") for _ in range(3)]
    event = sqs_event(*({"user_task_execution_pk": pk} for pk in pks))
    event["Records"][2]["attributes"]["ApproximateReceiveCount"] = "2"
    mojodex.run(
        "INSERT INTO md_background_job (process, subject, state, attempts, started_at)"
        " VALUES ('extract_todos', :pk, 'running', 1, now() - interval '1 hour')",
        pk=str(pks[2]),
    )
    run = bundle.worker.process.run

    def dying(message: Any, *given: Any) -> Any:
        if message.user_task_execution_pk == pks[2]:
            raise SystemExit
        return run(message, *given)

    monkeypatch.setattr(bundle.worker, "process", replace(bundle.worker.process, run=dying))
    with pytest.raises(SystemExit):
        bundle.work_on(event)

    assert [mojodex.job(pk).state for pk in pks] == ["done", "done", "running"]
    assert spent_today(mojodex) == pytest.approx(2 * USD)


def test_moves_mails_and_updates_record_their_spending_too(
    make_bundle: Callable[..., Bundle],
    documents: Documents,
    mojodex: Mojodex,
    model: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pk = documents.text_document("what was there before, which is long enough")
    documents.update(pk, "All of this is new, and it has as many words as a chunk of a text must have.")
    user_id = mojodex.user()
    with time_machine.travel(NOON.replace(hour=2)):
        todo = mojodex.scheduled(
            mojodex.execution("x", user_id=user_id, extracted=True), "Call Bob", date(2026, 11, 30)
        )
        model.answers(Reply({"pros": "", "cons": "", "argument": "Quiet.", "date": "2026-12-01"}))
        make_bundle("reschedule_todo").work({"todo_pk": todo})
    with time_machine.travel(NOON.replace(hour=8)), fake_ses() as ses:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", ses.url)
        make_bundle("events").work({"event_type": "todo_daily_emails", "user_id": user_id})

    rows = mojodex.rows("SELECT process, spent FROM md_background_job WHERE state = 'done'")

    paid = {row.process for row in rows if row.spent}
    assert paid == {"reschedule_todo", "events", "update_document"}


def _away(_: Database) -> Any:
    raise TransientError("database is away")


def test_at_the_limit_no_model_is_called_and_no_job_fails(
    make_bundle: Callable[..., Bundle],
    mojodex: Mojodex,
    model: FakeModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = make_bundle(daily_spend_limit=3 * USD)
    extract(bundle, mojodex, 2)
    assert open_circuits(mojodex) == set()
    # Calls in flight when the limit is reached are still paid.
    extract(bundle, mojodex, 4)
    assert open_circuits(mojodex) == {DAILY_SPEND_LIMIT}
    assert mojodex.run("SELECT reason FROM md_background_circuit") == "0.00039 USD of 0.000195 are spent"

    waiting = extract(bundle, mojodex, 5)

    assert len(model.calls) == 6
    jobs = [mojodex.job(pk) for pk in waiting]
    assert {(job.state, job.attempts, job.spent) for job in jobs} == {("queued", 0, None)}
    sums = emitted(capsys.readouterr().out)
    assert sums["all", "SpendLimitReached"] == 1


def test_the_limit_holds_for_all_processes(
    make_bundle: Callable[..., Bundle], documents: Documents, mojodex: Mojodex, model: FakeModel
) -> None:
    documents.site.simple("/")
    documents.ask()
    extract(make_bundle(daily_spend_limit=USD), mojodex)
    asked = len(model.calls)

    documents.pages.work(*documents.pages.queued())

    assert len(model.calls) == asked
    assert model.embeddings == []


@pytest.mark.parametrize("changes", ["the day", "the limit", "no limit"])
def test_a_new_day_or_another_limit_closes_the_circuit(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, changes: str
) -> None:
    with time_machine.travel(NOON, tick=False):
        bundle = make_bundle(daily_spend_limit=2 * USD)
        extract(bundle, mojodex, 3)
        let_probe(mojodex)
        (pk,) = extract(bundle, mojodex)
        # Unlike an unavailable provider, the limit is not probed: that would cost money.
        assert (len(model.calls), open_circuits(mojodex)) == (3, {DAILY_SPEND_LIMIT})
    if changes != "the day":
        bundle = make_bundle(daily_spend_limit=10 * USD if changes == "the limit" else 0)

    with time_machine.travel(NOON + timedelta(days=changes == "the day"), tick=False):
        # The first batch finds it open and closes it; the next one may ask.
        for state in ("queued", "done"):
            bundle.work({"user_task_execution_pk": pk})
            assert (mojodex.job(pk).state, open_circuits(mojodex)) == (state, set())


def test_a_limit_without_prices_stops_the_start(make_bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(ValueError, match=r"DAILY_SPEND_LIMIT needs MODEL_PRICES of gpt-4\.1"):
        make_bundle(daily_spend_limit=1, model_prices="gpt-5-mini=0.25/0.025/2")
    with pytest.raises(SettingsError, match="MODEL_PRICES"):
        SpendingSettings.from_environment({"MODEL_PRICES": "gpt-5-mini=cheap"})
    assert SpendingSettings.from_environment({"MODEL_PRICES": PRICES}).price_of("gpt-4.1")


def test_the_documented_query_returns_each_users_spending(mojodex: Mojodex) -> None:
    (query,) = [statement for statement in STATEMENTS if "AS day, process, user_id" in statement]
    for process, user_id, usd in (
        ("extract_todos", "talker", 1),
        ("events", "talker", 2),
        ("ingest_page", "reader", 4),
        ("update_document", "reader", 8),
        # A job of an earlier release has no user.
        ("extract_todos", None, 16),
    ):
        mojodex.run(
            "INSERT INTO md_background_job (process, subject, state, finished_at, user_id, spent)"
            " VALUES (:p, :usd, 'done', now(), :u, CAST(:spent AS jsonb))",
            p=process,
            u=user_id,
            usd=str(usd),
            spent=json.dumps([{"model": "a", "usd": usd}, {"model": "b", "calls": 1}]),
        )

    found = Counter[str | None]()
    for row in mojodex.rows(query):
        found[row.user_id] += row.usd or 0

    assert found == {"talker": 3, "reader": 12, None: 16}
