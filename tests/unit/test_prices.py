"""The cost of a call, and the format of prices."""

import pytest

from mojodex.spending import Price, Spending, SpendingSettings, parse_prices
from tests.integration.conftest import PRICES

MINI = Price(0.25, 0.025, 2)


def test_prices_are_written_in_the_order_prompt_cached_answer() -> None:
    prices = dict(parse_prices(PRICES))

    assert prices["gpt-5-mini"] == MINI
    assert prices["text-embedding-ada-002"] == Price(0.1, 0.1, 0)
    assert parse_prices("") == parse_prices(" , ") == ()


@pytest.mark.parametrize(
    "written",
    [
        "gpt-5-mini",
        "=1",
        "a=",
        "a=1/2",
        "a=1/2/3/4",
        "a=x",
        "a=-1",
        "a=nan",
        "a=1/nan/2",
        "a=1/2/nan",
        "a=1/inf/2",
    ],
)
def test_a_malformed_price_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a price"):
        parse_prices(f"gpt-4.1=2/0.5/8,{written}")


def test_cached_tokens_have_a_price_of_their_own_and_reasoning_is_part_of_the_answer() -> None:
    tokens = {
        "prompt_tokens": 1_000_000,
        "cached_tokens": 400_000,
        "completion_tokens": 100_000,
        "reasoning_tokens": 90_000,
    }

    assert MINI.cost(tokens, "default") == pytest.approx(0.6 * 0.25 + 0.4 * 0.025 + 0.1 * 2)
    assert MINI.cost(tokens, "flex") == MINI.cost(tokens, None) / 2


def test_calls_add_up_by_model_and_tier_across_attempts() -> None:
    spending = Spending()
    spending.add("gpt-5-mini", "flex", MINI, prompt_tokens=1000, completion_tokens=100)
    spending.add("gpt-5-mini", "default", MINI, prompt_tokens=1000, completion_tokens=100)

    later = Spending.read(spending.as_json())
    later.add("gpt-5-mini", "flex", MINI, prompt_tokens=1000, completion_tokens=100, reasoning_tokens=0)
    later.add("qwen", None, None, prompt_tokens=7)

    flex, default, unknown = later.as_json() or []
    assert flex == {
        "model": "gpt-5-mini",
        "tier": "flex",
        "calls": 2,
        "prompt_tokens": 2000,
        "completion_tokens": 200,
        "usd": pytest.approx(0.00045),
    }
    assert (default["tier"], default["usd"]) == ("default", pytest.approx(0.00045))
    assert unknown == {"model": "qwen", "calls": 1, "prompt_tokens": 7}
    # The sum of the day already contains the first attempt's cost.
    assert later.usd == pytest.approx(0.000225)
    assert Spending().as_json() is None


def test_a_limit_needs_the_price_of_every_model() -> None:
    limited = SpendingSettings.from_environment({"MODEL_PRICES": PRICES, "DAILY_SPEND_LIMIT": "5"})
    limited.check_priced(["gpt-5-mini", "gpt-4.1"])
    SpendingSettings.from_environment({}).check_priced(["qwen"])

    with pytest.raises(ValueError, match="DAILY_SPEND_LIMIT needs MODEL_PRICES of qwen"):
        limited.check_priced(["gpt-5-mini", "qwen"])
