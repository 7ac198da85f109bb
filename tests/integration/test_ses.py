"""Sending a mail: SES accepts it, is busy, refuses it, or does not answer."""

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import boto3
import pytest
from itsdangerous import URLSafeSerializer
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

import events.mail.ses
from events.daily_email.rendering import render
from events.mail.mime import EmailSettings, as_bytes, unsubscribe
from events.mail.ses import NotKnownIfSentError, send
from mojodex import secrets
from mojodex.errors import MojodexError, PermanentError, TransientError
from tests.fake_ses import CLOSE, HANG, TAKEN, Answer, FakeSes, fake_ses
from tests.mails import check_mail
from tests.unit.test_email import NOW, content

SETTINGS = EmailSettings(
    email_sender="mojo@example.org",
    ses_configuration_set="mails",
    mojodex_webapp_uri="https://app.example.org",
)
ADDRESS = "ada@example.org"


def raw(address: str = ADDRESS) -> bytes:
    return as_bytes(
        SETTINGS,
        render(content(unsubscribe_link=None)),
        to_name="Zoé",
        to_address=address,
        unsubscribe_link=None,
        now=NOW,
    )


def send_one() -> str:
    return send(SETTINGS, raw(), to_address=ADDRESS, job="2026-11-24-events-user 1")


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSes]:
    with fake_ses() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record pauses instead of sleeping."""
    pauses: list[float] = []
    monkeypatch.setattr(events.mail.ses, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


def refused() -> MojodexError:
    """Return the error of sending, which has no text of SES."""
    with pytest.raises(MojodexError) as caught:
        send_one()
    error = caught.value
    assert ADDRESS not in str(error)
    assert error.__suppress_context__
    return error


# SES accepts the mail.


def test_a_mail_is_sent_unchanged(ses: FakeSes) -> None:
    assert send_one() == "id-1"

    (request,) = ses.requests
    data = request["Content"]["Raw"].pop("Data")
    assert request == {
        "Destination": {"ToAddresses": [ADDRESS]},
        "Content": {"Raw": {}},
        "ConfigurationSetName": "mails",
        "EmailTags": [{"Name": "job", "Value": "2026-11-24-events-user-1"}],
    }
    assert b"\r\n <ada@example.org>\r\n" in b64decode(data)


def test_each_mail_has_its_own_connection(ses: FakeSes) -> None:
    send_one()
    send_one()

    assert len(ses.connections) == 2


def test_the_mails_of_a_batch_are_sent_concurrently(ses: FakeSes) -> None:
    with ThreadPoolExecutor(10) as threads:
        ids = [f.result() for f in [threads.submit(send_one) for _ in range(10)]]
        assert set(ids) == {f"id-{n}" for n in range(1, 11)}

    assert len(ses.requests) == 10


def test_the_destination_is_written_as_in_the_mail(ses: FakeSes) -> None:
    send(SETTINGS, raw("ada@bücher.example"), to_address="ada@bücher.example", job="j")

    assert ses.requests[0]["Destination"] == {"ToAddresses": ["ada@xn--bcher-kva.example"]}


def test_a_tag_has_only_allowed_characters(ses: FakeSes) -> None:
    send(SETTINGS, raw(), to_address=ADDRESS, job="é@b c_d-e" * 100)

    assert ses.requests[0]["EmailTags"][0]["Value"] == ("--b-c_d-e" * 100)[:256]


def test_no_mail_is_sent_to_an_invalid_address(ses: FakeSes) -> None:
    with pytest.raises(PermanentError, match="not valid"):
        send(SETTINGS, raw(), to_address="ada@example.org, bob@example.org", job="j")

    assert ses.requests == []


def test_motos_ses_accepts_the_mail() -> None:
    with mock_aws():
        boto3.client("sesv2").create_email_identity(EmailIdentity="mojo@example.org")

        message_id = send_one()

        (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
        assert sent.id == message_id
        assert sent.raw_data.encode().endswith(b"--\r\n")
        check_mail(sent.raw_data.encode())


def test_the_unsubscribe_link_is_signed_with_the_secret() -> None:
    settings = SETTINGS.model_copy(
        update={"unsubscribe_url": "https://app.example.org/u", "unsubscribe_secret_arn": "unsubscribe"}
    )
    with mock_aws():
        secrets._provider.cache_clear()  # type: ignore[attr-defined]
        secret = json.dumps({"signing_key": "key"})
        boto3.client("secretsmanager").create_secret(Name="unsubscribe", SecretString=secret)

        unsubscribing = unsubscribe(settings, "user-1", "todo_daily_emails")
    secrets._provider.cache_clear()  # type: ignore[attr-defined]

    assert unsubscribing
    token = unsubscribing.link.removeprefix("https://app.example.org/u?token=")
    said = URLSafeSerializer("key", salt="unsubscribe").loads(token)
    assert said == {"user_id": "user-1", "event_type": "todo_daily_emails"}


# SES is busy.


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException", "Throttling"])
def test_a_busy_ses_is_tried_again(ses: FakeSes, pauses: list[float], code: str) -> None:
    ses.does(Answer(429, code), Answer(400, code), TAKEN)

    assert send_one() == "id-1"

    assert len(ses.requests) == 3
    assert len(pauses) == 2
    assert all(0.5 <= pause <= 2 for pause in pauses)


def test_the_message_is_retried_while_ses_stays_busy(ses: FakeSes, pauses: list[float]) -> None:
    ses.does(Answer(429, "TooManyRequestsException"))

    assert isinstance(refused(), TransientError)
    assert len(ses.requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException", "Throttling"])
def test_a_used_up_daily_quota_is_not_tried_again_at_once(
    ses: FakeSes, pauses: list[float], code: str
) -> None:
    """Its error codes are those of the rate limit; only the message differs."""
    ses.does(Answer(400, code, "Daily message quota exceeded."))

    error = refused()

    assert type(error) is TransientError
    assert (str(error), error.retry_after) == ("SES does not send now (daily quota)", 900)
    assert len(ses.requests) == 1
    assert pauses == []


# SES refuses.


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, "LimitExceededException"),
        Answer(400, "SendingPausedException"),
        Answer(400, "AccountSuspendedException"),
        Answer(400, "MailFromDomainNotVerifiedException"),
        Answer(404, "NotFoundException"),
        Answer(403, "AccessDeniedException"),
        Answer(403, "ExpiredTokenException"),
        Answer(400, "MessageRejected", f"Email address is not verified. These failed: {ADDRESS}"),
    ],
)
def test_an_error_that_an_operator_can_correct_does_not_fail_the_mail(ses: FakeSes, answer: Answer) -> None:
    ses.does(answer)

    error = refused()

    assert isinstance(error, TransientError)
    assert error.retry_after == 900
    assert str(answer.code) in str(error)
    assert len(ses.requests) == 1


@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
def test_a_mail_that_ses_refuses_fails(ses: FakeSes, code: str) -> None:
    ses.does(Answer(400, code))

    error = refused()

    assert type(error) is PermanentError
    assert code in str(error)
    assert len(ses.requests) == 1


def test_the_message_is_retried_while_ses_is_unavailable(ses: FakeSes) -> None:
    ses.does(Answer(503, "ServiceUnavailable"))

    assert isinstance(refused(), TransientError)
    assert len(ses.requests) == 1


# SES does not answer.


@pytest.mark.parametrize(
    "act",
    [
        CLOSE,
        Answer(500, "InternalFailure"),
        Answer(502, body="<html>Bad gateway</html>"),
        Answer(504, body=""),
        Answer(200, body="{"),
    ],
)
def test_without_a_valid_answer_the_mail_is_in_doubt_and_not_tried_again(
    ses: FakeSes, act: Answer | str
) -> None:
    ses.does(act)

    assert isinstance(refused(), NotKnownIfSentError)
    assert len(ses.requests) == 1


def test_after_a_late_answer_the_mail_is_in_doubt(ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.mail.ses, "ANSWER_SECONDS", 0.2)
    ses.does(HANG)

    assert isinstance(refused(), NotKnownIfSentError)


def test_an_ses_that_cannot_be_reached_is_a_transient_error(
    ses: FakeSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")

    assert isinstance(refused(), TransientError)


def test_without_credentials_no_mail_is_sent(ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(events.mail.ses, "_session", boto3.Session)

    assert isinstance(refused(), TransientError)
    assert ses.requests == []
