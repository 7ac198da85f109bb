"""Pause a process: its worker gets no messages, which wait in the queue, and no alarm rings for their age."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import text

from mojodex.errors import TransientError
from operate import audit, environment
from operate.functions import client
from operate.job_id import ProcessName

PAUSE = text("""
INSERT INTO md_background_paused_process (process, paused_at, paused_by) VALUES (:process, :now, :who)
ON CONFLICT DO NOTHING
""")
RESUME = text("DELETE FROM md_background_paused_process WHERE process = :process")


def set_paused(process: ProcessName, *, paused: bool, who: str, now: datetime) -> None:
    """Pause or resume a process. Doing it twice is doing it once.

    Args:
        process: which.
        paused: whether it is to be paused.
        who: name of the credential.
        now: the present moment (aware).

    Raises:
        TransientError: AWS does not take the change now; nothing is recorded.
    """
    settings = environment.settings
    mapping, alarm = settings.event_source_mappings[process], settings.age_alarms[process]
    change_alarms = "disable_alarm_actions" if paused else "enable_alarm_actions"
    with environment.database.session() as session:
        session.execute(PAUSE if paused else RESUME, {"process": process, "now": now, "who": who})
        audit.record(session, who, "pause" if paused else "resume", process, now)
        session.flush()
        try:
            client("lambda").update_event_source_mapping(UUID=mapping, Enabled=not paused)
            getattr(client("cloudwatch"), change_alarms)(AlarmNames=[alarm])
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise TransientError(f"AWS does not take the change ({code})") from error
        session.commit()
