"""The templates of all pages, and their filters."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mojodex.runtime import made_once
from operate import overview
from operate.jobs.job_id import parse_job_id
from operate.jobs.listing import key_of_row

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
HTML = "text/html; charset=utf-8"


def render(name: str, **values: Any) -> str:
    """Render a template."""
    return _templates().get_template(name).render(**values)


@made_once
def _templates() -> "Environment":
    # Imported here, because requests that publish need no pages.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": _time,
        "ago": _ago,
        "count": _count,
        "usd": _usd,
        "pretty": _pretty,
        "subject": _subject,
        "target": _target,
        "job_id": lambda row: key_of_row(row).job_id,
    }
    environment.globals |= {"version": {name: _version(name) for name in ("console.css", "console.js")}}
    return environment


def _version(name: str) -> str:
    """Return a hash for a file's address, so that browsers may cache the file forever."""
    return hashlib.sha256((FOLDER / "console" / name).read_bytes()).hexdigest()[:12]


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _time(value: datetime | str | None) -> dict[str, str] | None:
    """Return a moment for machines and, in UTC, for people. The script shows it in the reader's time zone."""
    if value is None:
        return None
    moment = _moment(value).astimezone(UTC)
    return {"machine": moment.isoformat(timespec="seconds"), "people": f"{moment:%d %b %H:%M:%S} UTC"}


def _ago(value: datetime | str | None, now: datetime) -> str:
    """Return the time since a moment, in one unit."""
    if value is None:
        return "-"
    seconds = max((now - _moment(value)) // timedelta(seconds=1), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _count(jobs: int, most: int = overview.COUNTED) -> str:
    return f"{jobs:,}+" if jobs >= most else f"{jobs:,}"


def _usd(value: float) -> str:
    if not value:
        return "$0"
    return f"${value:,.2f}" if value >= 0.995 else f"${value:.4f}"


def _subject(subject: str, user_id: str | None) -> str:
    """Return a subject without its user, whom another column shows."""
    return subject.replace(user_id, "", 1).strip(" :") if user_id else subject


def _target(target: str) -> str:
    """Return the target of a change, with a job's id decoded."""
    try:
        return " ".join(parse_job_id(target))
    except ValueError:
        return target


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
