"""Pause a process: its messages wait in the queue, and the alarm for their age is off."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import TextClause, text

from mojodex.errors import TransientError
from operate import audit, environment
from operate.jobs.job_id import ProcessName
from operate.services import client

PAUSE = text("""
INSERT INTO md_background_paused_process (process, paused_at, paused_by) VALUES (:process, :now, :who)
ON CONFLICT DO NOTHING
""")
RESUME = text("DELETE FROM md_background_paused_process WHERE process = :process")


def set_paused(process: ProcessName, *, paused: bool, who: str, now: datetime) -> None:
    """Pause or resume a process. Repeating it is safe.

    A pause is recorded before it begins, and until after it ended. So if a step fails, the console and the
    reminder still show a pause.

    Args:
        process: its name.
        paused: True to pause, False to resume.
        who: name of the credential.
        now: the present moment (aware).

    Raises:
        TransientError: AWS refused the change, or as `Database.session`. Try again.
    """
    if paused:
        _record(process, PAUSE, "pause", who, now)
    _switch(process, on=not paused)
    if not paused:
        _record(process, RESUME, "resume", who, now)


def _record(process: ProcessName, change: TextClause, action: str, who: str, now: datetime) -> None:
    with environment.database.session() as session:
        session.execute(change, {"process": process, "now": now, "who": who})
        audit.record(session, who, action, process, now)
        session.commit()


def _switch(process: ProcessName, *, on: bool) -> None:
    """Switch the worker's event source and the alarm for old messages on or off."""
    mapping = environment.settings.event_source_mappings[process]
    alarm = environment.settings.age_alarms[process]
    alarms = client("cloudwatch")
    try:
        client("lambda").update_event_source_mapping(UUID=mapping, Enabled=on)
        if on:
            alarms.enable_alarm_actions(AlarmNames=[alarm])
            # An alarm in ALARM does not notify again. From OK, it does.
            alarms.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="the process is resumed")
        else:
            alarms.disable_alarm_actions(AlarmNames=[alarm])
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise TransientError(f"AWS refused the change ({code})") from error
