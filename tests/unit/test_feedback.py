"""SES's events about mails: their order does not matter, and an address is blocked for its reason."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mojodex.feedback import FACTS, PAUSE, Block, Mail, block_of, merged

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

moments = st.integers(0, 400).map(lambda hours: NOW + hours * HOUR)


def a_fact(message_id: str) -> st.SearchStrategy[Mail]:
    """A strategy for one fact, from an event or from the worker that sent the mail."""
    about = {
        "complained": "complaint",
        "bounced": "bounce",
        "rejected": "rejection",
        "soft_bounced": "soft bounce",
    }

    def said(fact: str, at: datetime, word: str) -> Mail:
        reasons = frozenset([f"{about[fact]}: {word}"] if fact in about else [])
        changes: dict[str, Any] = {f"{fact}_at": at}
        return Mail(message_id, at, job="j", reasons=reasons, **changes)

    saved = moments.map(lambda at: Mail(message_id, at, user_id="user-1", address="a@example.org", job="j"))
    return st.builds(said, st.sampled_from(FACTS), moments, st.sampled_from(["a", "b"])) | saved


def known_by(facts: Iterable[Mail]) -> dict[str, Mail]:
    known: dict[str, Mail] = {}
    for fact in facts:
        known[fact.message_id] = merged(known[fact.message_id], fact) if fact.message_id in known else fact
    return known


@given(st.lists(a_fact("m"), min_size=1, max_size=6), st.randoms())
def test_merging_does_not_depend_on_order_or_repetition(facts: list[Mail], random: Any) -> None:
    shuffled = facts * 2
    random.shuffle(shuffled)

    assert reduce(merged, shuffled) == reduce(merged, facts)


def with_one_moment(facts: list[Mail]) -> list[Mail]:
    """Give each fact of a mail one moment, as in SES's repeated events."""
    first: dict[tuple[str, str], Any] = {}
    for mail in facts:
        for fact in mail.facts:
            first.setdefault((mail.message_id, fact), mail.at(fact))
    return [
        replace(mail, **{f"{fact}_at": first[mail.message_id, fact] for fact in mail.facts}) for mail in facts
    ]


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from("mnopq").flatmap(a_fact), min_size=1, max_size=12).map(with_one_moment),
    st.none() | moments,
    st.randoms(),
)
def test_a_block_derived_after_each_event_equals_one_derived_at_the_end(
    facts: list[Mail], lifted_at: datetime | None, random: Any
) -> None:
    shuffled = facts * 2
    random.shuffle(shuffled)
    block = None
    for number in range(1, len(shuffled) + 1):
        block = block_of(known_by(shuffled[:number]).values(), block, lifted_at)

    assert block == block_of(known_by(facts).values(), None, lifted_at)


# Delivery status of a mail.


@pytest.mark.parametrize("number", range(len(FACTS)))
def test_the_strongest_fact_is_the_delivery_status(number: int) -> None:
    """An out-of-office reply arrives as a soft bounce of a mail that was delivered."""
    changes: dict[str, Any] = {f"{fact}_at": NOW for fact in FACTS[number:]}

    assert Mail("m", NOW, **changes).state == FACTS[number]


def test_a_mail_without_feedback_counts_as_sent() -> None:
    assert Mail("m", NOW).state == "sent"


# Blocks of an address.


def mails(*outcomes: str) -> list[Mail]:
    """Mails of consecutive days: D was delivered, S soft bounced, N neither."""
    found = []
    for number, outcome in enumerate(outcomes):
        mail = Mail(f"m{number}", NOW + number * DAY, user_id="user-1", address="a@example.org")
        at = mail.sent_at + HOUR
        if outcome == "D":
            mail = replace(mail, delivered_at=at)
        if outcome == "S":
            mail = replace(mail, soft_bounced_at=at, reasons=frozenset(["soft bounce: MailboxFull 4.2.2"]))
        found.append(mail)
    return found


@pytest.mark.parametrize(
    ("outcomes", "last"),
    [
        ("SS", None),
        ("SSS", 2),
        ("SNSNS", 4),
        ("SSDS", None),
        ("SSDSSS", 5),
        ("SSSS", 3),
        ("SSSD", None),
        ("DDD", None),
        ("", None),
    ],
)
def test_three_soft_bounces_in_a_row_pause_the_mail_for_a_week_after_the_last(
    outcomes: str, last: int | None
) -> None:
    for order in list(permutations(mails(*outcomes)))[:50]:
        block = block_of(order, None, None)

        if last is None:
            assert block is None
        else:
            since = NOW + last * DAY + HOUR
            assert block == Block("soft bounces", "MailboxFull 4.2.2", since, since + PAUSE)


def test_a_soft_bounce_of_a_mail_that_was_delivered_does_not_count() -> None:
    out_of_office = [replace(mail, delivered_at=mail.sent_at) for mail in mails(*"SSS")]

    assert block_of(out_of_office, None, None) is None


BOUNCED = Mail("b", NOW, bounced_at=NOW + HOUR, reasons=frozenset(["bounce: General 5.1.1"]))
COMPLAINED = Mail("c", NOW, complained_at=NOW + DAY, reasons=frozenset(["complaint: abuse"]))


def test_a_bounce_or_complaint_blocks_the_address_and_a_complaint_takes_precedence() -> None:
    bounce, complaint = Block("bounce", "General 5.1.1", NOW + HOUR), Block("complaint", "abuse", NOW + DAY)

    assert block_of([BOUNCED], None, None) == bounce
    assert block_of([COMPLAINED, BOUNCED, *mails(*"SSS")], None, None) == complaint
    # A later delivery to a restored mailbox does not lift a block that a person must check.
    assert block_of([BOUNCED, *mails("N", "N", "D")], None, None) == bounce


def test_a_permanent_block_outlives_its_mails_and_a_pause_does_not() -> None:
    complaint, pause = block_of([COMPLAINED], None, None), block_of(mails(*"SSS"), None, None)

    assert block_of([], complaint, None) == complaint
    assert block_of([], pause, None) is None


@pytest.mark.parametrize("before", [[BOUNCED], [COMPLAINED], mails(*"SSS")])
def test_after_a_block_is_lifted_only_later_feedback_blocks_again(
    before: list[Mail],
) -> None:
    lifted_at = NOW + 10 * DAY
    block = block_of(before, None, None)
    again = replace(BOUNCED, message_id="again", bounced_at=lifted_at + HOUR)

    assert block
    assert block_of(before, block, lifted_at) == block
    assert block.since <= lifted_at
    assert block_of([*before, again], block, lifted_at) == Block("bounce", "General 5.1.1", lifted_at + HOUR)


def test_soft_bounces_from_before_a_lift_do_not_count_with_those_after() -> None:
    lifted_at = NOW + 2 * DAY - HOUR

    assert block_of(mails(*"SSSS"), None, lifted_at) is None
    assert block_of(mails(*"SSSSS"), None, lifted_at) is not None
