"""What a message carries besides its body."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mojodex.queues import message_group

# SQS, SendMessage, MessageGroupId: alphanumeric characters and these, 128 at most.
ALLOWED = set(string.ascii_letters + string.digits + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@pytest.mark.parametrize("user_id", ["u", "user-1", "5f0c:d9|{e}", "x" * 128, "".join(sorted(ALLOWED))])
def test_an_id_that_sqs_takes_is_the_group_itself(user_id: str) -> None:
    assert message_group(user_id) == user_id


@pytest.mark.parametrize("user_id", ["", "x" * 129, "x" * 255, "two words", "Zoë", "用户", "tab\t", "line\n"])
def test_any_other_id_has_its_hash_for_a_group(user_id: str) -> None:
    group = message_group(user_id)

    assert re.fullmatch("[0-9a-f]{64}", group)
    assert message_group(user_id) == group


def test_the_hash_is_the_one_that_the_contract_names() -> None:
    """docs/messages.md: SHA-256 of the id in UTF-8, in hexadecimal; the backend computes it, too."""
    assert message_group("Zoë") == "c6a12698582fc1104ea24107a2d7268145ff06ef859707729d01fd060897f067"


@given(st.text(max_size=255), st.text(max_size=255))
def test_users_share_no_group_and_sqs_takes_each(one: str, other: str) -> None:
    groups = {message_group(user_id) for user_id in (one, other)}

    assert len(groups) == len({one, other})
    for group in groups:
        assert 1 <= len(group) <= 128
        assert set(group) <= ALLOWED


def test_a_group_that_was_read_from_a_message_stays_as_it_is() -> None:
    """A dead letter that is sent again has only the group, not the user."""
    assert message_group(message_group("Zoë")) == message_group("Zoë")
