"""Check a name and a secret, and slow down guessing."""

from datetime import datetime

from mojodex.errors import TransientError
from operate import access, environment, refusals
from operate.access import Caller
from operate.problems import Problem


def identify(credentials: access.Credentials, name: str, secret: str, address: str, now: datetime) -> Caller:
    """Return the caller with this name and secret.

    Args:
        credentials: the valid ones.
        name, secret: as sent.
        address: network address of the sender.
        now: the present moment (aware).

    Raises:
        Problem: 401, they are wrong; 429, too many were wrong.
        TransientError: as `Database.session`, if the secret is wrong.
    """
    hashed = refusals.hashed(address, name)
    caller = access.check_secret(credentials, name, secret)
    try:
        with environment.database.session() as session:
            has_refusals = refusals.check(session, hashed, now)
            if caller is None:
                refusals.add(session, hashed, now)
            elif has_refusals:
                refusals.forget(session, hashed)
    except TransientError:
        # Publishing a website needs no database. Secrets are too long to guess during an outage.
        if caller is None:
            raise
    if caller is None:
        raise Problem(401, "Unauthorized", "The name or the secret is wrong.")
    return caller
