"""The small modules of the layer."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mojodex.clock import Deadline, local_time, next_working_day
from mojodex.llm import LlmSettings, _retry_after, well_formed
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.queues import back_off_seconds
from mojodex.settings import Settings, SettingsError
from mojodex.tokens import count_tokens, keep_newest


class Example(Settings):
    queue_url: str
    days: int = 7


def test_settings_are_read_from_the_variables_of_their_names() -> None:
    got = Example.from_environment({"QUEUE_URL": " https://queue ", "DAYS": "3", "OTHER": "x"})

    assert got == Example(queue_url="https://queue", days=3)


def test_an_empty_variable_is_not_set() -> None:
    assert Example.from_environment({"QUEUE_URL": "q", "DAYS": ""}).days == 7


@pytest.mark.parametrize("environment", [{}, {"QUEUE_URL": ""}])
def test_a_missing_setting_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="QUEUE_URL: Field required"):
        Example.from_environment(environment)


def test_a_wrong_setting_is_named_without_its_value() -> None:
    with pytest.raises(SettingsError, match="DAYS") as caught:
        Example.from_environment({"QUEUE_URL": "q", "DAYS": "secret"})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "local"),
    [
        (-120, "2026-12-31T23:30"),
        (300, "2026-12-31T16:30"),
        (-330, "2027-01-01T03:00"),
        (840, "2026-12-31T07:30"),
    ],
)
def test_local_time_is_utc_minus_the_offset(offset: int, local: str) -> None:
    assert local_time(datetime(2026, 12, 31, 21, 30, tzinfo=UTC), offset) == datetime.fromisoformat(local)


@pytest.mark.parametrize(
    ("day", "following"),
    [("2026-11-26", "2026-11-27"), ("2026-11-27", "2026-11-30"), ("2026-11-28", "2026-11-30")],
)
def test_the_next_working_day_is_no_weekend(day: str, following: str) -> None:
    assert next_working_day(date.fromisoformat(day)) == date.fromisoformat(following)


def test_a_deadline_keeps_a_reserve() -> None:
    assert Deadline(lambda: 12_000).seconds_left() == 7


def test_a_prompt_names_its_models_and_renders(tmp_path: Path) -> None:
    path = tmp_path / "greet.mpt"
    path.write_text("#! gpt-5-mini\n#!gpt-4.1\nHello {{ name }}\n")

    prompt = read_prompt(path)

    assert (prompt.name, prompt.models) == ("greet", ("gpt-5-mini", "gpt-4.1"))
    assert prompt.render(name="Ann") == "Hello Ann"
    with pytest.raises(Exception, match="undefined"):
        prompt.render()


@pytest.mark.parametrize("text", ["Hello", "", "#!\nHello"])
def test_a_prompt_without_a_model_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.mpt"
    path.write_text(text)

    with pytest.raises(ValueError, match="name models"):
        read_prompt(path)


def test_the_first_configured_model_that_the_prompt_names_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "p.mpt"
    path.write_text("#! best\n#! good\n#! fair\nx")
    prompt = read_prompt(path)

    settings = LlmSettings.model_validate(
        {"llm_secret_arn": "s", "llm_models": "fair, other,best=my-deployment"}
    )

    assert settings.models_for(prompt) == [("best", "my-deployment"), ("fair", "fair")]
    with pytest.raises(ValueError, match="best, good, fair"):
        LlmSettings.model_validate({"llm_secret_arn": "s", "llm_models": "x"}).models_for(prompt)


def test_azure_needs_its_address_and_version() -> None:
    with pytest.raises(ValueError, match="LLM_API_VERSION"):
        LlmSettings.model_validate({"llm_secret_arn": "s", "llm_models": "m", "llm_provider": "azure"})


@given(st.integers(1, 10_000), st.none() | st.floats(0, 10**6))
def test_back_off_grows_and_is_bounded(receives: int, retry_after: float | None) -> None:
    seconds = back_off_seconds(receives, retry_after)

    longest = min(5 * 2 ** min(receives - 1, 20), 1800)
    assert round(longest / 2) <= seconds + 1
    assert seconds <= max(longest, min(retry_after or 0, 1800)) + 1
    assert seconds >= int(min(retry_after or 0, 1800))


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8), st.integers(0, 60))
def test_what_is_kept_is_the_newest_and_within_the_budget(texts: list[str], budget: int) -> None:
    texts = [well_formed(text) for text in texts]

    kept = keep_newest(texts, budget)

    assert sum(map(count_tokens, kept)) <= budget or kept == texts == []
    if kept:
        assert kept[1:] == texts[len(texts) - len(kept) + 1 :]
        assert texts[-len(kept)].endswith(kept[0])


def test_a_metric_is_one_line_that_cloudwatch_reads(capsys: pytest.CaptureFixture[str]) -> None:
    count("LlmCalls", 2, model="m", prompt="p")

    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "MojodexBackground"
    assert set(directive["Dimensions"][0]) == {"model", "prompt", "service"}
    assert line["LlmCalls"] == [2.0]


class FakeError(Exception):
    """An APIStatusError as far as its headers go."""

    def __init__(self, value: str | None) -> None:
        headers = {} if value is None else {"retry-after": value}
        self.response = type("Response", (), {"headers": headers})()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("1.5", 1.5), ("-3", 0), (None, None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert _retry_after(FakeError(header)) == seconds  # type: ignore[arg-type]
