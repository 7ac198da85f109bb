"""Pause a process: its worker gets no messages, which wait in the queue, and no alarm rings for their age."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import text
from sqlalchemy.orm import Session

from mojodex.errors import TransientError
from operate import audit
from operate.functions import client
from operate.job_id import ProcessName
from operate.settings import Settings

PAUSE = text("""
INSERT INTO md_background_paused_process (process, paused_at, paused_by) VALUES (:process, :now, :who)
ON CONFLICT DO NOTHING
""")
RESUME = text("DELETE FROM md_background_paused_process WHERE process = :process")


def set_paused(
    session: Session,
    process: ProcessName,
    settings: Settings,
    *,
    paused: bool,
    who: str,
    now: datetime,
) -> None:
    """Pause or resume a process. Doing it twice is doing it once. Commits.

    Args:
        session: the caller's.
        process: which.
        settings: know what feeds its worker, and the alarm.
        paused: whether it is to be paused.
        who: name of the credential.
        now: the present moment (aware).

    Raises:
        TransientError: AWS does not take the change now; nothing is recorded.
    """
    session.execute(PAUSE if paused else RESUME, {"process": process, "now": now, "who": who})
    audit.record(session, who, "pause" if paused else "resume", process, now)
    try:
        mapping, alarms = settings.event_source_mappings[process], [settings.age_alarms[process]]
        client("lambda").update_event_source_mapping(UUID=mapping, Enabled=not paused)
        change_alarms = "disable_alarm_actions" if paused else "enable_alarm_actions"
        getattr(client("cloudwatch"), change_alarms)(AlarmNames=alarms)
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise TransientError(f"AWS does not take the change ({code})") from error
    session.commit()
