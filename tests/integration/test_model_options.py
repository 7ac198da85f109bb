"""What a prompt asks of a model besides its text: sent, and left out where a server does not take it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fake_model import FakeModel, Reply, todos
from tests.integration.conftest import Bundle
from tests.metrics import emitted
from tests.mojodex import Mojodex

OPTIONS = {"reasoning_effort", "max_completion_tokens"}


def sent(model: FakeModel) -> list[set[str]]:
    """Which options each call had."""
    return [OPTIONS & call.keys() for call in model.calls]


def not_taking(*unknown: str, says: bool = True) -> Any:
    """A server that answers 400 to a call with one of these options."""

    def script(request: dict[str, Any]) -> Reply:
        refused = [name for name in unknown if name in request]
        if not refused:
            return todos()
        code = "unsupported_parameter" if says else None
        return Reply(status=400, error_code=code, error_param=refused[0] if says else None)

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
    model.script = not_taking("reasoning_effort")

    states = [extract(bundle, mojodex) for _ in range(3)]

    assert states == ["done"] * 3
    assert sent(model) == [OPTIONS, *[{"max_completion_tokens"}] * 3]


def test_of_a_server_that_does_not_say_which_one_all_are_left_out(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.script = not_taking("max_completion_tokens", says=False)

    assert [extract(bundle, mojodex) for _ in range(2)] == ["done"] * 2

    assert sent(model) == [OPTIONS, set(), set()]


def test_several_unknown_options_are_left_out_one_after_the_other(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    model.script = not_taking(*sorted(OPTIONS))

    assert extract(bundle, mojodex) == "done"

    assert len(model.calls) == 3
    assert sent(model)[-1] == set()


def test_a_call_that_fails_without_options_too_says_nothing_of_them(
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


def test_a_server_that_knows_no_tiers_is_asked_without(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_service_tier="flex")
    model.script = not_taking("service_tier")

    assert [extract(bundle, mojodex) for _ in range(2)] == ["done"] * 2

    assert ["service_tier" in call for call in model.calls] == [True, False, False]


def test_flex_that_has_no_room_is_waited_for(
    make_bundle: Callable[..., Bundle], mojodex: Mojodex, model: FakeModel
) -> None:
    bundle = make_bundle(llm_service_tier="flex")
    model.answers(Reply(status=429, error_code="resource_unavailable", headers={"Retry-After": "600"}))

    assert extract(bundle, mojodex) == "queued"


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens_details": None, "completion_tokens_details": None}])
def test_cached_and_reasoning_tokens_are_counted_where_a_server_tells(
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


def test_a_server_that_counts_no_tokens_is_asked_all_the_same(
    bundle: Bundle, mojodex: Mojodex, model: FakeModel
) -> None:
    uncounted = todos()
    uncounted.usage = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    model.answers(uncounted)

    assert extract(bundle, mojodex) == "done"
