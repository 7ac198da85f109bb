"""The id of a job in URLs. It is made from the key, so it never changes and a backend can build it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, NamedTuple, get_args

from operate.problems import not_found

ProcessName = Literal[
    "extract_todos",
    "reschedule_todo",
    "events",
    "create_from_website",
    "ingest_page",
    "update_document",
]
PROCESSES: tuple[ProcessName, ...] = get_args(ProcessName)


class JobKey(NamedTuple):
    """The key of a job in the ledger."""

    process: ProcessName
    subject: str
    occasion: str

    @property
    def job_id(self) -> str:
        """The process, the subject and any occasion, joined by dots. The last two are in base64url."""
        parts = [self.subject, *([self.occasion] if self.occasion else [])]
        return ".".join([self.process, *(urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts)])


def parse_job_id(job_id: str) -> JobKey:
    """Return the key in a job's id.

    Raises:
        ValueError: it is not a job's id.
    """
    process, *parts = job_id.split(".")
    known = next((name for name in PROCESSES if name == process), None)
    if known is None or len(parts) not in (1, 2):
        raise ValueError("not the id of a job")
    subject, occasion = [*(_decode(part) for part in parts), ""][:2]
    key = JobKey(known, subject, occasion)
    # A job has only one id, so other spellings are refused.
    if key.job_id != job_id or "\0" in subject + occasion:
        raise ValueError("not the id of a job")
    return key


def _decode(part: str) -> str:
    return urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4)).decode()


def key_of(job_id: str) -> JobKey:
    """Return the key in a job's id.

    Raises:
        Problem: 404, it is not a job's id.
    """
    try:
        return parse_job_id(job_id)
    except ValueError:
        raise not_found("job") from None
