"""Pause a process: its worker gets no messages, which wait in the queue, and no alarm rings for their age."""

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
    """Pause or resume a process. Doing it twice is doing it once.

    It is recorded as paused before it is, and resumed before that is recorded: whatever fails in between, the
    console and the reminder tell of a pause.

    Args:
        process: which.
        paused: whether it is to be paused.
        who: name of the credential.
        now: the present moment (aware).

    Raises:
        TransientError: AWS does not take the change now, or as `Database.session`. Do it again.
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
    """Switch the worker's event source and the alarm of old messages on or off."""
    mapping = environment.settings.event_source_mappings[process]
    alarm = environment.settings.age_alarms[process]
    alarms = client("cloudwatch")
    try:
        client("lambda").update_event_source_mapping(UUID=mapping, Enabled=on)
        if on:
            alarms.enable_alarm_actions(AlarmNames=[alarm])
            # It may ring already, and rings again only after it was silent.
            alarms.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="the process is resumed")
        else:
            alarms.disable_alarm_actions(AlarmNames=[alarm])
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise TransientError(f"AWS does not take the change ({code})") from error
