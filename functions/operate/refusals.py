"""Slow down senders of wrong credentials, by network address and name."""

import hashlib
import ipaddress
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from operate.problems import Problem

# This many mistakes are free. Each further one doubles the wait.
FREE_REFUSALS = 5
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)
GROUPS_OF_NAMES = 16
FIND = text("SELECT refusals, last_at FROM md_background_refusal WHERE address = :address")
ADD = text("""
INSERT INTO md_background_refusal AS refusal (address, refusals, last_at) VALUES (:address, 1, :now)
ON CONFLICT (address) DO UPDATE SET
    refusals = CASE WHEN refusal.last_at < :forgotten THEN 1 ELSE refusal.refusals + 1 END,
    last_at = :now
""")
FORGET = text("DELETE FROM md_background_refusal WHERE address = :address")


def hashed(address: str, name: str) -> str:
    """Hash a network address (IPv6: its /64) and the group of the name that it sends.

    Names fall into a few groups. So guessing names does not fill the table, and a guesser behind a shared
    address locks out few others.
    """
    try:
        parsed = ipaddress.ip_address(address)
        if parsed.version == 6:
            address = str(ipaddress.ip_network(f"{parsed}/64", strict=False))
    except ValueError:
        address = "unknown"
    group = hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] % GROUPS_OF_NAMES
    return hashlib.sha256(f"{address} {group}".encode()).hexdigest()


def check(session: Session, address: str, now: datetime) -> bool:
    """Check that an address need not wait, and return whether it made mistakes.

    Raises:
        Problem: 429, it must wait.
    """
    found = session.execute(FIND, {"address": address}).one_or_none()
    if found is None or found.last_at < now - FORGOTTEN_AFTER:
        return False
    seconds = (found.last_at + wait_after(found.refusals) - now).total_seconds()
    if seconds > 0:
        detail = "Too many wrong credentials came from this address."
        raise Problem(429, "Too many requests", detail, retry_after=int(seconds) + 1)
    return True


def wait_after(refusals: int) -> timedelta:
    """Return the wait after this many mistakes in a row."""
    doublings = min(refusals - FREE_REFUSALS, 20)
    return min(FIRST_WAIT * 2**doublings, LONGEST_WAIT) if doublings >= 0 else timedelta()


def add(session: Session, address: str, now: datetime) -> None:
    """Count a mistake. Commits."""
    session.execute(ADD, {"address": address, "now": now, "forgotten": now - FORGOTTEN_AFTER})
    session.commit()


def forget(session: Session, address: str) -> None:
    """Forget an address's mistakes. Commits."""
    session.execute(FORGET, {"address": address})
    session.commit()
