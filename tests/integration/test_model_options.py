"""Options of a call beside its prompt: sent, and left out if a server refuses them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.metrics import emitted
from tests.mojodex import Mojodex

OPTIONS = {"reasoning_effort", "max_completion_tokens"}


def sent(model: FakeModel) -> list[set[str]]:
    """Return the options of each call."""
    return [OPTIONS & call.keys() for call in model.calls]


def refusing(*unknown: str, names_it: bool = True) -> Any:
    """Return a server's script that answers 400 to a call with one of these options."""

    def script(request: dict[str, Any]) -> Reply:
        refused = [name for name in unknown if name in request]
        if not refused:
            return todos()
        code = "unsupported_parameter" if names_it else None
        return Reply(status=400, error_code=code, error_param=refused[0] if names_it else None)

    return script


def extract(bundle: Bundle, mojodex: Mojodex) -> str:
    pk = mojodex.execution("I'll send the offer.")
    bundle.work({"user_task_execution_pk": pk})
    return str(mojodex.job(pk).state)


def test_the_options_of_the_prompt_are_sent(bundle: Bundle, mojodex: Mojodex, model: FakeModel) -> None:
    assert extract(bundle, mojodex) == "done"

    (call,) = model.calls
    assert (call["reasoning_effort"], call["max_completion_tokens"]) == ("low", 8000)
    assert "temperature" not in call


def test_an_option_that_a_server_does_not_know_is_left_out_and_remembered(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.script = refusing("reasoning_effort")

    states = [extract(bundle, mojodex) for _ in range(3)]

    assert states == ["done"] * 3
    assert sent(model) == [OPTIONS, *[{"max_completion_tokens"}] * 3]


def test_all_options_are_left_out_if_a_server_does_not_name_the_unknown_one(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.script = refusing("max_completion_tokens", names_it=False)

    assert [extract(bundle, mojodex) for _ in range(2)] == ["done"] * 2

    assert sent(model) == [OPTIONS, set(), set()]


def test_several_unknown_options_are_left_out_one_after_the_other(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.script = refusing(*sorted(OPTIONS))

    assert extract(bundle, mojodex) == "done"

    assert len(model.calls) == 3
    assert sent(model)[-1] == set()


def test_options_are_kept_if_the_call_also_fails_without_them(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.answers(Reply(status=400))
    extract(bundle, mojodex)
    model.script = lambda _request: todos()
    model.calls.clear()

    assert extract(bundle, mojodex) == "done"

    assert sent(model) == [OPTIONS]


@pytest.mark.parametrize(("tier", "sent_as"), [("auto", None), ("flex", "flex"), ("default", "default")])
def test_the_service_tier_is_sent_unless_it_is_left_to_the_provider(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel, tier: str, sent_as: str | None
) -> None:
    extract(make_bundle(llm_service_tier=tier), mojodex)

    assert model.calls[0].get("service_tier") == sent_as


def test_a_server_without_service_tiers_is_called_without_one(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_service_tier="flex")
    model.script = refusing("service_tier")

    assert [extract(bundle, mojodex) for _ in range(2)] == ["done"] * 2

    assert ["service_tier" in call for call in model.calls] == [True, False, False]


def test_the_job_waits_while_the_flex_tier_has_no_capacity(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_service_tier="flex")
    model.answers(Reply(status=429, error_code="resource_unavailable", headers={"Retry-After": "600"}))

    assert extract(bundle, mojodex) == "queued"


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens_details": None, "completion_tokens_details": None}])
def test_cached_and_reasoning_tokens_are_counted_if_a_server_reports_them(
    bundle: Bundle,
    mojodex: Mojodex,
    model: FakeModel,
    capsys: pytest.CaptureFixture[str],
    usage: dict[str, Any],
) -> None:
    told = todos()
    told.usage = {
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    silent = todos()
    silent.usage = usage
    model.answers(told, silent)

    extract(bundle, mojodex)
    extract(bundle, mojodex)

    sums = emitted(capsys.readouterr().out)
    counted = {name: value for (_, name), value in sums.items() if name.startswith("Llm")}
    assert (counted["LlmCachedTokens"], counted["LlmReasoningTokens"]) == (64, 12)
    assert (counted["LlmPromptTokens"], counted["LlmCompletionTokens"]) == (200, 40)


def test_a_server_that_counts_no_tokens_can_be_used(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    uncounted = todos()
    uncounted.usage = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    model.answers(uncounted)

    assert extract(bundle, mojodex) == "done"
