"""Who is due for the daily to-do e-mail. Apart from its generator, which the schedule need not import."""

from datetime import datetime
from typing import NamedTuple

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    Text,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Session

from events.message import PROCESS, EventType
from mojodex import jobs
from mojodex.clock import LocalWindow, local_windows, previous_working_day
from mojodex.reads import open_todos
from mojodex.schedule import Rows, ScheduleSettings
from mojodex.schema import MdUser

EVENT_TYPE: EventType = "todo_daily_emails"
# How long after its hour somebody still gets the e-mail whom an outage has missed.
HOURS_LATE = 2
# Users that one statement looks at, so that none takes long, however few of them are due.
USERS_PER_PAGE = 1000

# A user's place in the index: offset (None where it is not known) and id.
type UserPlace = tuple[int | None, str]


class AudienceSettings(ScheduleSettings):
    """Settings of the audience.

    Attributes:
        daily_todo_email_time: hour of the user's wall clock, 0 to 21, at which the daily e-mail goes out.
        send_empty_todo_emails: whether it also goes to users for whom it has nothing.
        default_timezone_offset: minutes, for users whose offset is not known.
    """

    daily_todo_email_time: int = Field(ge=0, le=23 - HOURS_LATE)
    send_empty_todo_emails: bool = False
    default_timezone_offset: int = 0


class Segment(NamedTuple):
    """Users who lie together in the index: those of a window, or those without an offset who fall into it."""

    window: LocalWindow
    without_offset: bool


class Place(NamedTuple):
    """Where a page ended: the number of the segment, and its last user (None: before the first)."""

    segment: int
    user: UserPlace | None


def claim_page(
    settings: AudienceSettings, now: datetime, session: Session, place: Place | None
) -> tuple[Rows, Place | None]:
    """Claim the users of the page behind a place; see `schedule.publish_due`."""
    hour, offset = settings.daily_todo_email_time, settings.default_timezone_offset
    found = segments(local_windows(now, hour, hour + 1 + HOURS_LATE), offset)
    number, after = place or Place(0, None)
    if number == len(found):
        return [], None
    segment = found[number]
    row = session.execute(last_of_page(segment, after)).one_or_none()
    last = row and (row[0], row[1])
    query = due(segment, after, last, offset, now=now, send_empty=settings.send_empty_todo_emails)
    rows = jobs.claim(session, PROCESS, query, now=now)
    return rows, Place(number, last) if last else Place(number + 1, None)


def segments(windows: list[LocalWindow], default_timezone_offset: int) -> list[Segment]:
    """The ranges of the index in which users of these windows are, those without an offset included."""
    found = []
    for window in windows:
        found.append(Segment(window, without_offset=False))
        if window.first_offset <= default_timezone_offset <= window.last_offset:
            found.append(Segment(window, without_offset=True))
    return found


def last_of_page(segment: Segment, after: UserPlace | None) -> Select[int | None, str]:
    """Offset and id of the user with which the page behind `after` ends; no row for a segment's last page."""
    return (
        select(MdUser.timezone_offset, MdUser.user_id)
        .where(*_between(segment, after, None))
        .order_by(MdUser.timezone_offset, MdUser.user_id)
        .offset(USERS_PER_PAGE - 1)
        .limit(1)
    )


def due(
    segment: Segment,
    after: UserPlace | None,
    last: UserPlace | None,
    default_timezone_offset: int,
    *,
    now: datetime,
    send_empty: bool,
) -> Select[str, str, str, object]:
    """The users of one page who want the e-mail, did not get it today, and have something to read in it.

    It walks the index of users by offset within one window, so its cost follows who has morning now.

    Args:
        segment: see there.
        after, last: users between which the page lies; `last` is included, None is the end.
        default_timezone_offset: minutes, for users whose offset is not known.
        now: the present moment (aware).
        send_empty: whether users get one who have nothing today and nothing that was moved.

    Returns:
        A query of (subject, occasion, user_id, local_date).
    """
    local_date = segment.window.local_date
    subject, occasion = literal(f"{EVENT_TYPE}:", Text) + MdUser.user_id, local_date.isoformat()
    claimed = jobs.claimed(PROCESS, subject, literal(occasion), now).correlate(MdUser).exists()
    query = (
        select(
            subject.label("subject"),
            literal(occasion, Text).label("occasion"),
            MdUser.user_id,
            literal(local_date, Date).label("local_date"),
        )
        .where(
            *_between(segment, after, last),
            MdUser.todo_email_reception,
            ~claimed,
        )
        .order_by(MdUser.timezone_offset, MdUser.user_id)
    )
    return query if send_empty else query.where(_has_something(segment, default_timezone_offset))


def _between(segment: Segment, after: UserPlace | None, last: UserPlace | None) -> list[ColumnElement[bool]]:
    user, window = MdUser, segment.window
    if segment.without_offset:
        found: list[ColumnElement[bool]] = [user.timezone_offset.is_(None)]
        if after is not None:
            found.append(user.user_id > after[1])
        if last is not None:
            found.append(user.user_id <= last[1])
        return found
    place = tuple_(user.timezone_offset, user.user_id)
    found = [user.timezone_offset.between(window.first_offset, window.last_offset)]
    if after is not None:
        found.append(place > after)
    if last is not None:
        found.append(place <= last)
    return found


def _has_something(segment: Segment, default_timezone_offset: int) -> ColumnElement[bool]:
    """Whether the user has an open to-do for this day or before, or one that was moved lately."""
    local_date = segment.window.local_date
    todos, _, newest = open_todos(MdUser.user_id)
    # On Monday from Friday on: what was moved after Friday's e-mail is told, too.
    begin = datetime.combine(previous_working_day(local_date), datetime.min.time())
    offset = func.coalesce(MdUser.timezone_offset, default_timezone_offset)
    # A moment's UTC time without a zone, as the user's midnight is reckoned.
    since = literal(begin) + func.make_interval(0, 0, 0, 0, 0, offset)
    return (
        todos.where(
            or_(
                newest.c.scheduled_date <= local_date,
                and_(
                    newest.c.creation_date >= func.timezone("UTC", since),
                    newest.c.reschedule_justification.is_not(None),
                ),
            )
        )
        .order_by(None)
        .limit(1)
        .correlate(MdUser)
        .exists()
    )
