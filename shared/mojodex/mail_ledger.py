"""Delivery status of each mail (`md_background_mail`) and blocked addresses (`md_background_mail_block`).

The worker that sends a mail and the worker that reads its feedback write the same row, in either order.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from mojodex.feedback import Block, Fact, Mail, block_of, merged
from mojodex.sql import read_sql

MAIL_BLOCK = read_sql(Path(__file__).with_name("mail_block.sql"))

COLUMNS = ", ".join(field.name for field in fields(Mail))
# One parameter for any number of mails, so that the statements stay the same.
GIVEN = """
    jsonb_to_recordset(CAST(:mails AS jsonb)) AS given (
        message_id text,
        sent_at timestamptz,
        user_id varchar,
        address text,
        job text,
        complained_at timestamptz,
        bounced_at timestamptz,
        rejected_at timestamptz,
        delivered_at timestamptz,
        soft_bounced_at timestamptz,
        reasons text[]
    )
"""
# Ordered by the key, here and below, so that two workers with the same mails cannot deadlock.
INSERT = text(f"""
INSERT INTO md_background_mail ({COLUMNS})
SELECT {COLUMNS} FROM {GIVEN} ORDER BY message_id
ON CONFLICT (message_id) DO NOTHING
RETURNING message_id
""")
LOCK = text(f"""
SELECT {COLUMNS} FROM md_background_mail WHERE message_id = ANY(CAST(:ids AS text[]))
ORDER BY message_id
FOR UPDATE
""")
UPDATE = text(f"""
UPDATE md_background_mail AS mail SET ({COLUMNS}) = ROW (given.*)
FROM {GIVEN}
WHERE mail.message_id = given.message_id
""")
# A worker that derives a block must see the user's other mails as other workers have written them.
LOCK_USERS = text("""
SELECT pg_advisory_xact_lock(key)
FROM (
    SELECT DISTINCT hashtextextended('mail ' || user_id, 0) AS key
    FROM unnest(CAST(:users AS text[])) AS user_id
    ORDER BY key
) AS keys
""")
BLOCKS = text("SELECT * FROM md_background_mail_block WHERE user_id = ANY(CAST(:users AS text[]))")
MAILS = text(f"SELECT {COLUMNS} FROM md_background_mail WHERE user_id = :user_id ORDER BY sent_at DESC")
SAVE_BLOCK = text("""
INSERT INTO md_background_mail_block (user_id, address, kind, reason, since, until)
VALUES (:user_id, :address, :kind, :reason, :since, :until)
ON CONFLICT (user_id, address) DO UPDATE SET
    kind = excluded.kind, reason = excluded.reason, since = excluded.since, until = excluded.until
""")
# A lifted block stays, as the record of who lifted it.
DELETE_BLOCK = text("""
DELETE FROM md_background_mail_block WHERE user_id = :user_id AND address = :address AND lifted_at IS NULL
""")
LIFT = text("""
UPDATE md_background_mail_block AS block SET lifted_at = :now, lifted_by = :by
WHERE user_id = :user_id
    AND (until IS NULL OR until > :now)
    AND (lifted_at IS NULL OR since > lifted_at)
    AND address = (SELECT email FROM md_user WHERE md_user.user_id = :user_id)
RETURNING kind
""")
# Facts that can start a block. A delivery can only end a pause.
AGAINST: frozenset[Fact] = frozenset(("complained", "bounced", "soft_bounced"))


def mail_block(user_id: str, now: str) -> str:
    """Return the SQL that selects the kind of a user's present block.

    Args:
        user_id: SQL expression of the user's id.
        now: SQL expression of the present moment; a bind parameter is written as `:name`.
    """
    return f"({MAIL_BLOCK.format(user_id=user_id, now=now)})"


def record(session: Session, mails: Iterable[Mail]) -> Counter[Fact]:
    """Merge facts about mails into the table, and derive the blocks of their addresses. Does not commit.

    Args:
        session: the caller's.
        mails: facts about each mail. The same mail may be there several times.

    Returns:
        For each fact, the number of mails for which it is new.
    """
    given: dict[str, Mail] = {}
    for mail in mails:
        given[mail.message_id] = merged(given[mail.message_id], mail) if mail.message_id in given else mail
    inserted = set(session.scalars(INSERT, {"mails": _as_json(given.values())}))
    new = Counter(fact for message_id in inserted for fact in given[message_id].facts)
    if others := [message_id for message_id in given if message_id not in inserted]:
        # A mail that is missing here was purged since. Its facts are dropped.
        known = [_as_mail(row) for row in session.execute(LOCK, {"ids": others})]
        changed = [(mail, merged(mail, given[mail.message_id])) for mail in known]
        changed = [(before, after) for before, after in changed if before != after]
        if changed:
            session.execute(UPDATE, {"mails": _as_json(after for _, after in changed)})
            _derive(session, [after for _, after in changed])
        new += Counter(fact for before, after in changed for fact in {*after.facts} - {*before.facts})
    return new


def _derive(session: Session, changed: Collection[Mail]) -> None:
    """Derive the blocks of the addresses whose mails have changed."""
    addresses = {(mail.user_id, mail.address) for mail in changed if mail.user_id and mail.address}
    if not addresses:
        return
    suspects = {(mail.user_id, mail.address) for mail in changed if not AGAINST.isdisjoint(mail.facts)}
    users = {"users": [user_id for user_id, _ in addresses]}
    session.execute(LOCK_USERS, users)
    blocks = {(row.user_id, row.address): row for row in session.execute(BLOCKS, users)}
    for user_id, address in addresses:
        row = blocks.get((user_id, address))
        if (user_id, address) in suspects or (row and row.until):
            mails = [mail for mail in mails_of(session, user_id) if mail.address == address]
            known = Block(row.kind, row.reason, row.since, row.until) if row else None
            block = block_of(mails, known, row.lifted_at if row else None)
            of_address = {"user_id": user_id, "address": address}
            if block:
                session.execute(SAVE_BLOCK, of_address | asdict(block))
            elif row:
                session.execute(DELETE_BLOCK, of_address)


def mails_of(session: Session, user_id: str) -> list[Mail]:
    """Return a user's mails of the last 90 days, the newest first."""
    return [_as_mail(row) for row in session.execute(MAILS, {"user_id": user_id})]


def lift(session: Session, user_id: str, by: str, now: datetime) -> str | None:
    """Let a user's present address get mail again, until it bounces or complains again. Does not commit.

    SES keeps a suppression list of its own, which an operator must clear, too (docs/operations.md).

    Args:
        session: the caller's.
        user_id: the user.
        by: the operator's name.
        now: the present moment (aware).

    Returns:
        The kind of the block that was lifted; None if there was none.
    """
    session.execute(LOCK_USERS, {"users": [user_id]})
    kind: str | None = session.scalar(LIFT, {"user_id": user_id, "by": by, "now": now})
    return kind


def _as_json(mails: Iterable[Mail]) -> str:
    given: list[dict[str, Any]] = [{**asdict(mail), "reasons": sorted(mail.reasons)} for mail in mails]
    return json.dumps(given, default=datetime.isoformat)


def _as_mail(row: Row[*tuple[Any, ...]]) -> Mail:
    return Mail(**{**row._mapping, "reasons": frozenset(row.reasons)})
