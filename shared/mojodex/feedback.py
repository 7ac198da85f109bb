"""SES's feedback about mails, and the blocks of addresses that follow from it.

SES reports late, more than once, and in any order, sometimes before the worker that sent a mail has saved it.
So each fact is stored with its time, and merging facts does not depend on their order. The block of an
address is derived from all its mails, never from the latest event.

    complaint       the address gets no more mail
    bounce          the same, because the mailbox does not exist
    soft bounces    three mails in a row without a delivery: a week's pause after the last
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

type Fact = Literal["complained", "bounced", "rejected", "delivered", "soft_bounced"]
type Kind = Literal["complaint", "bounce", "soft bounces"]

# The strongest first. An out-of-office reply is a soft bounce of a delivered mail.
FACTS: tuple[Fact, ...] = ("complained", "bounced", "rejected", "delivered", "soft_bounced")
KINDS: tuple[Kind, ...] = ("complaint", "bounce", "soft bounces")
SOFT_BOUNCES_IN_A_ROW = 3
PAUSE = timedelta(days=7)


@dataclass(frozen=True)
class Mail:
    """A mail and the facts known about it.

    Attributes:
        message_id: SES's id.
        sent_at: when SES accepted it (aware).
        user_id, address: its user, and `md_user.email` at that time; None if not known yet.
        job: the mail's tag `job`.
        complained_at, bounced_at, rejected_at, delivered_at, soft_bounced_at: when this first happened
            (aware); None if SES has not reported it.
        reasons: SES's reasons, as "bounce: General 5.1.1".
    """

    message_id: str
    sent_at: datetime
    user_id: str | None = None
    address: str | None = None
    job: str | None = None
    complained_at: datetime | None = None
    bounced_at: datetime | None = None
    rejected_at: datetime | None = None
    delivered_at: datetime | None = None
    soft_bounced_at: datetime | None = None
    reasons: frozenset[str] = frozenset()

    @property
    def facts(self) -> list[Fact]:
        """Return the known facts, the strongest first."""
        return [fact for fact in FACTS if self.at(fact)]

    @property
    def state(self) -> Fact | Literal["sent"]:
        """Return the strongest fact, or "sent" without one."""
        return next(iter(self.facts), "sent")

    def at(self, fact: Fact) -> datetime | None:
        """Return when a fact first happened; None if it did not."""
        at: datetime | None = getattr(self, f"{fact}_at")
        return at

    def reason(self, about: str) -> str:
        """Return SES's reason for a "complaint", "bounce" or "soft bounce"; '' if it gave none."""
        found = sorted(reason for reason in self.reasons if reason.startswith(f"{about}: "))
        return found[0].removeprefix(f"{about}: ") if found else ""


def merged(one: Mail, other: Mail) -> Mail:
    """Merge the facts of two sources about the same mail, in either order."""
    happened: dict[str, Any] = {f"{fact}_at": _earliest(one.at(fact), other.at(fact)) for fact in FACTS}
    return replace(
        one,
        sent_at=min(one.sent_at, other.sent_at),
        user_id=one.user_id or other.user_id,
        address=one.address or other.address,
        job=one.job or other.job,
        reasons=one.reasons | other.reasons,
        **happened,
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


@dataclass(frozen=True)
class Block:
    """The reason to send an address no mail, its start and its end (aware; None if it is permanent)."""

    kind: Kind
    reason: str
    since: datetime
    until: datetime | None = None


def block_of(mails: Iterable[Mail], known: Block | None, lifted_at: datetime | None) -> Block | None:
    """Derive the block of one address of a user.

    Args:
        mails: the stored mails to this address, in any order.
        known: the block that was derived before. A permanent one outlives the mails that led to it, and a
            second, earlier report of the same fact.
        lifted_at: when an operator last lifted it. Only later facts block again. Without any, the old block
            is returned, for display only: it began before it was lifted.

    Returns:
        The block, which may have ended; None if no fact is against the address.
    """
    mails = sorted(mails, key=lambda mail: (mail.sent_at, mail.message_id))
    if lifted_at is None:
        return _strongest(mails, known, lambda _: True)
    return _strongest(mails, known, lambda at: at > lifted_at) or _strongest(
        mails, known, lambda at: at <= lifted_at
    )


def _strongest(mails: list[Mail], known: Block | None, counts: Callable[[datetime], bool]) -> Block | None:
    found = [known] if known and known.until is None and counts(known.since) else []
    for mail in mails:
        if mail.complained_at and counts(mail.complained_at):
            found.append(Block("complaint", mail.reason("complaint"), mail.complained_at))
        if mail.bounced_at and counts(mail.bounced_at):
            found.append(Block("bounce", mail.reason("bounce"), mail.bounced_at))
    if found:
        return min(found, key=lambda block: (KINDS.index(block.kind), block.since, block.reason))
    in_a_row: list[tuple[datetime, str]] = []
    for mail in mails:
        if mail.delivered_at:
            in_a_row.clear()
        elif mail.soft_bounced_at and counts(mail.soft_bounced_at):
            in_a_row.append((mail.soft_bounced_at, mail.reason("soft bounce")))
    if len(in_a_row) < SOFT_BOUNCES_IN_A_ROW:
        return None
    since, reason = max(in_a_row)
    return Block("soft bounces", reason, since, since + PAUSE)
