"""Send a mail through SES, and classify its answer."""

import random
import re
import time
from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions as aws_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError

from events.mail.mime import EmailSettings, check_address
from mojodex.aws import CLIENT_CONFIG
from mojodex.errors import OPERATOR_SECONDS, PermanentError, TransientError
from mojodex.runtime import made_once

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

# SES counts sends by the second, so a short pause is often enough.
TRIES = 3
PAUSE_SECONDS = (0.5, 2.0)
# "Daily message quota exceeded."
DAILY_QUOTA = re.compile(r"daily\b.*\bquota", re.IGNORECASE)
# Without an answer in that time, it is unknown whether the mail was sent. Quick refusals, the pauses and one
# slow answer fit into 15 seconds.
ANSWER_SECONDS = 8
# SES's limits of a tag's value.
NOT_IN_TAG = re.compile("[^A-Za-z0-9_-]")
LONGEST_TAG = 256


class NotKnownIfSentError(PermanentError):
    """SES got the mail and gave no answer. A second try could send a second mail, so there is none."""


class ThrottledError(TransientError):
    """Too many mails in this second."""


_MAKING = Lock()


@made_once
def _session() -> boto3.Session:
    return boto3.Session()


def _client() -> "SESV2Client":
    """Make a client for one mail, in 25 ms. The connection of a cached one may have died while Lambda was
    frozen, which looks like a lost answer.
    """
    # One attempt: SendEmail has no idempotency token, so a second one may be a second mail.
    config = CLIENT_CONFIG.merge(
        Config(read_timeout=ANSWER_SECONDS, retries={"mode": "standard", "total_max_attempts": 1})
    )
    # A session makes one client at a time.
    with _MAKING:
        return _session().client("sesv2", config=config)


def tag(text: str) -> str:
    """Turn a text into a valid tag value."""
    return NOT_IN_TAG.sub("-", text)[:LONGEST_TAG]


def send(settings: EmailSettings, raw: bytes, *, to_address: str, job: str) -> str:
    """Hand a mail over to SES.

    Args:
        settings: the sender's.
        raw: from `as_bytes`.
        to_address: the user's.
        job: value of the tag `job`, by which SES's events name the job.

    Returns:
        SES's id of the message.

    Raises:
        TransientError: it was not sent; SES is busy or unavailable, or an operator must fix something.
        PermanentError: it was not sent; SES refuses this mail.
        NotKnownIfSentError: no answer came.
    """
    to_address = check_address(to_address)
    tries = 1
    while True:
        try:
            return _send_once(settings, raw, to_address, job)
        except ThrottledError:
            if tries == TRIES:
                raise
        tries += 1
        time.sleep(random.uniform(*PAUSE_SECONDS))


def _send_once(settings: EmailSettings, raw: bytes, to_address: str, job: str) -> str:
    # botocore's texts may quote the address, so none is kept.
    try:
        with closing(_client()) as client:
            answer = client.send_email(
                Destination={"ToAddresses": [to_address]},
                Content={"Raw": {"Data": raw}},
                ConfigurationSetName=settings.ses_configuration_set,
                EmailTags=[{"Name": "job", "Value": tag(job)}],
            )
        return answer["MessageId"]
    except aws_errors.ClientError as error:
        raise _refusal(error) from None
    except (aws_errors.HTTPClientError, aws_errors.SSLError, ResponseParserError, KeyError):
        # An SSLError can interrupt an answer; an empty answer raises KeyError.
        raise NotKnownIfSentError("it is not known whether SES took the mail") from None
    except aws_errors.BotoCoreError as error:
        raise TransientError(f"SES cannot be reached ({type(error).__name__})") from None


def _refusal(error: aws_errors.ClientError) -> PermanentError | TransientError:
    """Classify SES's error."""
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    message = error.response["Error"].get("Message", "")
    if code.startswith(("TooManyRequests", "Throttl")):
        # The daily quota and the rate per second share one code.
        if DAILY_QUOTA.search(message):
            return TransientError("SES does not send now (daily quota)", retry_after=OPERATOR_SECONDS)
        return ThrottledError("SES is busy")
    if code.startswith("ServiceUnavailable"):
        return TransientError("SES is not available")
    if status >= 500:
        # SES or a gateway failed, perhaps after SES took the mail.
        return NotKnownIfSentError("it is not known whether SES took the mail")
    not_verified = "not verified" in message
    if code == "BadRequestException" or (code == "MessageRejected" and not not_verified):
        return PermanentError(f"SES refuses the mail ({code})")
    # Quota, account, permission, configuration set or sender: an operator must act, not the user.
    return TransientError(f"SES does not send now ({code})", retry_after=OPERATOR_SECONDS)
