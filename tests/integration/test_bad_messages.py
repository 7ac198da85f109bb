"""A message of any content goes to the dead-letter queue with its reason, and its batch is handled."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fake_model import FakeModel
from tests.integration.conftest import Bundle
from tests.lambda_events import failed_ids, sqs_event
from tests.mojodex import Mojodex

BAD = {
    "not JSON": ("{oops", "JSON"),
    "empty": ("", "JSON"),
    "white space": ("  \n", "JSON"),
    "array": ("[1]", "object"),
    "text": ('"7"', "object"),
    "null": ("null", "object"),
    "1 MiB of nesting": ("[" * (512 * 1024) + "]" * (512 * 1024), ""),
    "nesting in a field": ('{"user_task_execution_pk": ' + "[" * 300_000 + "]" * 300_000 + "}", ""),
    "missing": ("{}", "user_task_execution_pk: Field required"),
    "negative": ('{"user_task_execution_pk": -1}', "greater than or equal to 1"),
    "zero": ('{"user_task_execution_pk": 0}', "greater than or equal to 1"),
    "string": ('{"user_task_execution_pk": "7"}', "valid integer"),
    "boolean": ('{"user_task_execution_pk": true}', "valid integer"),
    "fraction": ('{"user_task_execution_pk": 1.5}', "valid integer"),
    "too large for a key": ('{"user_task_execution_pk": 2147483648}', "less than or equal"),
    "huge": ('{"user_task_execution_pk": ' + "9" * 5000 + "}", ""),
    "misspelt": ('{"user_task_execution_fk": 7}', "user_task_execution_fk: Extra inputs"),
    "unknown execution": ('{"user_task_execution_pk": 2147483647}', "there is no user_task_execution"),
    "odd name": ('{"\\u0000\\u0007\\ufffe": 1, "user_task_execution_pk": 7}', "???: Extra inputs"),
    "lone surrogate": ('{"\\ud83d": 1}', "JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_message_goes_to_the_dead_letter_queue_with_its_reason(
    bundle: Bundle, mojodex: Mojodex, case: str
) -> None:
    good = mojodex.execution("x")
    body, why = BAD[case]

    response = bundle.work({"user_task_execution_pk": good}, body)

    assert response == {"batchItemFailures": []}
    assert mojodex.job(good).state == "done"
    ((letter, reason),) = bundle.dead_letters()
    assert letter == (body or "(empty)")
    assert reason
    assert why in reason


def test_a_bad_message_is_retried_if_the_dead_letter_queue_does_not_accept_it(
    bundle: Bundle, mojodex: Mojodex
) -> None:
    event = sqs_event("{oops", {"user_task_execution_pk": mojodex.execution("x")})
    bundle.sqs.delete_queue(QueueUrl=bundle.dead_letter_queue_url)

    response = bundle.work_on(event)

    assert failed_ids(response) == {event["Records"][0]["messageId"]}


def test_a_deleted_execution_is_skipped(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    pk = mojodex.execution("x", deleted=True)

    assert bundle.work({"user_task_execution_pk": pk}) == {"batchItemFailures": []}
    assert mojodex.job(pk).outcome == {"reason": "the user deleted it"}
    assert bundle.dead_letters() == []
    assert model.calls == []


def test_an_execution_created_after_its_message_is_still_extracted(bundle: Bundle, mojodex: Mojodex) -> None:
    pk = mojodex.execution("x")
    later = pk + 1
    bundle.work({"user_task_execution_pk": later})
    assert mojodex.job(later).state == "skipped"

    assert mojodex.execution("y") == later
    bundle.work({"user_task_execution_pk": later})

    assert mojodex.job(later).state == "done"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
# The characters that SQS accepts: https://www.w3.org/TR/xml/#charsets
sqs_text = st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFD, exclude_categories=["Cs"]))
bodies = st.one_of(
    sqs_text,
    json_values.map(json.dumps),
    st.builds(lambda pk: json.dumps({"user_task_execution_pk": pk}), json_values),
    st.builds(
        lambda pk, more: json.dumps({"user_task_execution_pk": pk, **more}),
        st.integers(min_value=10**8),
        st.dictionaries(st.text(), json_values, max_size=2),
    ),
)


# The examples share the fixtures, so each example adds its own execution.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(bodies, min_size=1, max_size=4, unique=True))
def test_no_message_harms_its_batch(bundle: Bundle, mojodex: Mojodex, batch: list[Any]) -> None:
    good = mojodex.execution("x")

    response = bundle.work_on(sqs_event(*batch, {"user_task_execution_pk": good}))

    assert mojodex.job(good).state == "done"
    assert response == {"batchItemFailures": []}
    letters = bundle.dead_letters()
    assert sorted(body for body, _ in letters) == sorted(body or "(empty)" for body in batch)
    assert all(reason for _, reason in letters)
