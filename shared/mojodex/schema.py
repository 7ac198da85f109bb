"""Describe the tables that the bundle uses, as SQLAlchemy models.

Mojodex owns the tables `md_…`. For them, this module has only the columns that the bundle reads or writes
and the indexes that it adds. The bundle owns the tables `md_background_…`, described here in full.
Each key comes from its column's default in the database: a statement that names a sequence pins the
connection behind RDS Proxy.
`python -m tools.pages --write` makes docs/database.md from it, with the docstrings.
"""

from datetime import date, datetime
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Mojodex's "timestamp" columns hold UTC.
UTC_WITHOUT_ZONE = DateTime(timezone=False)
WITH_ZONE = DateTime(timezone=True)
# When a job was queued or ended.
CHANGED_AT = "COALESCE(finished_at, queued_at)"


def _index(name: str, *columns: str, include: str | None = None, where: str | None = None) -> Index:
    """Describe an index, built without blocking writes. A column may be an expression; `where` is SQL."""
    return Index(
        name,
        *(text(column) if "(" in column else column for column in columns),
        postgresql_concurrently=True,
        postgresql_include=[include] if include else None,
        postgresql_where=where,
    )


class Base(DeclarativeBase):
    """Registry of the models."""


class MdUser(Base):
    __tablename__ = "md_user"
    __table_args__ = (_index("mojodex_background_user_by_offset", "timezone_offset", "user_id"),)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    # Read where mail is written, and nowhere else.
    email: Mapped[str] = mapped_column(deferred=True)
    name: Mapped[str | None]
    language_code: Mapped[str | None]
    timezone_offset: Mapped[int | None]
    goal: Mapped[str | None]
    company_description: Mapped[str | None]
    todo_email_reception: Mapped[bool]


class MdSession(Base):
    __tablename__ = "md_session"
    __table_args__ = (
        _index("mojodex_background_session_by_user", "user_id", "creation_date", include="session_id"),
    )
    session_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("md_user.user_id"))
    creation_date: Mapped[datetime] = mapped_column(WITH_ZONE)


class MdTask(Base):
    __tablename__ = "md_task"
    task_pk: Mapped[int] = mapped_column(primary_key=True)
    name_for_system: Mapped[str]
    definition_for_system: Mapped[str]


class MdUserTask(Base):
    __tablename__ = "md_user_task"
    __table_args__ = (_index("mojodex_background_user_task_by_user", "user_id"),)
    user_task_pk: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("md_user.user_id"))
    task_fk: Mapped[int] = mapped_column(ForeignKey("md_task.task_pk"))


class MdUserTaskExecution(Base):
    __tablename__ = "md_user_task_execution"
    __table_args__ = (_index("mojodex_background_execution_by_user_task", "user_task_fk"),)
    user_task_execution_pk: Mapped[int] = mapped_column(primary_key=True)
    user_task_fk: Mapped[int] = mapped_column(ForeignKey("md_user_task.user_task_pk"))
    session_id: Mapped[str]
    title: Mapped[str | None]
    predefined_action_from_user_task_execution_fk: Mapped[int | None]
    todos_extracted: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    deleted_by_user: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class MdMessage(Base):
    __tablename__ = "md_message"
    __table_args__ = (_index("mojodex_background_message_by_session", "session_id", "message_date"),)
    message_pk: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str]
    sender: Mapped[str] = mapped_column(Enum("mojo", "user", "system", name="md_sender_"))
    message: Mapped[Any] = mapped_column(JSON)
    message_date: Mapped[datetime] = mapped_column(WITH_ZONE)


class MdProducedText(Base):
    __tablename__ = "md_produced_text"
    __table_args__ = (_index("mojodex_background_text_by_execution", "user_task_execution_fk"),)
    produced_text_pk: Mapped[int] = mapped_column(primary_key=True)
    user_task_execution_fk: Mapped[int | None]
    deleted_by_user: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class MdProducedTextVersion(Base):
    __tablename__ = "md_produced_text_version"
    __table_args__ = (
        _index("mojodex_background_version_by_date", "creation_date", "produced_text_version_pk"),
        _index("mojodex_background_version_by_text", "produced_text_fk", "creation_date"),
    )
    produced_text_version_pk: Mapped[int] = mapped_column(primary_key=True)
    produced_text_fk: Mapped[int] = mapped_column(ForeignKey("md_produced_text.produced_text_pk"))
    creation_date: Mapped[datetime] = mapped_column(UTC_WITHOUT_ZONE)
    production: Mapped[str]
    title: Mapped[str | None]


class MdTodo(Base):
    __tablename__ = "md_todo"
    __table_args__ = (
        _index("mojodex_background_todo_by_execution", "user_task_execution_fk"),
        _index(
            "mojodex_background_open_todo",
            "todo_pk",
            where="completed IS NULL AND deleted_by_user IS NULL AND deleted_by_mojo IS NULL",
        ),
    )
    todo_pk: Mapped[int] = mapped_column(primary_key=True)
    user_task_execution_fk: Mapped[int]
    description: Mapped[str] = mapped_column(Text)
    creation_date: Mapped[datetime] = mapped_column(WITH_ZONE)
    completed: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    deleted_by_user: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    deleted_by_mojo: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class MdTodoScheduling(Base):
    __tablename__ = "md_todo_scheduling"
    __table_args__ = (
        _index(
            "mojodex_background_scheduling_by_todo",
            "todo_fk",
            "creation_date",
            "todo_scheduling_pk",
            include="scheduled_date",
        ),
        _index(
            "mojodex_background_scheduling_by_date", "scheduled_date", "todo_scheduling_pk", include="todo_fk"
        ),
    )
    todo_scheduling_pk: Mapped[int] = mapped_column(primary_key=True)
    todo_fk: Mapped[int] = mapped_column(ForeignKey("md_todo.todo_pk"))
    scheduled_date: Mapped[date]
    creation_date: Mapped[datetime] = mapped_column(WITH_ZONE)
    reschedule_justification: Mapped[str | None] = mapped_column(Text)


class MdDocument(Base):
    __tablename__ = "md_document"
    __table_args__ = (_index("mojodex_background_document_by_name", "author_user_id", "name"),)
    document_pk: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    author_user_id: Mapped[str] = mapped_column(ForeignKey("md_user.user_id"))
    creation_date: Mapped[datetime] = mapped_column(UTC_WITHOUT_ZONE)
    document_type: Mapped[str] = mapped_column(Enum("learned_by_mojo", "webpage", name="document_type_"))
    deleted_by_user: Mapped[bool]
    last_update_date: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class MdDocumentChunk(Base):
    __tablename__ = "md_document_chunk"
    __table_args__ = (_index("mojodex_background_chunk_by_document", "document_fk"),)
    document_chunk_pk: Mapped[int] = mapped_column(primary_key=True)
    document_fk: Mapped[int] = mapped_column(ForeignKey("md_document.document_pk"))
    index: Mapped[int]
    # Written, and never read.
    embedding: Mapped[Any] = mapped_column(VECTOR(1536), deferred=True)
    chunk_text: Mapped[str] = mapped_column(Text)
    deleted: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class MdEvent(Base):
    __tablename__ = "md_event"
    event_pk: Mapped[int] = mapped_column(primary_key=True)
    event_type: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey("md_user.user_id"))
    message: Mapped[Any] = mapped_column(JSON)
    creation_date: Mapped[datetime] = mapped_column(WITH_ZONE)


class MdError(Base):
    __tablename__ = "md_error"
    error_pk: Mapped[int] = mapped_column(primary_key=True)
    message: Mapped[str] = mapped_column(Text)
    creation_date: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundJob(Base):
    """The ledger: one row per job, with its state, attempts and outcome (docs/jobs.md)."""

    __tablename__ = "md_background_job"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'skipped')", "md_background_job_state_check"
        ),
        _index("mojodex_background_ended_job", "finished_at", where="state IN ('done', 'failed', 'skipped')"),
        _index("mojodex_background_job_by_message", "message_id", where="state IN ('queued', 'running')"),
        _index("mojodex_background_job_by_state", "process", "state", CHANGED_AT),
        _index("mojodex_background_job_by_user", "user_id", "process", "state", CHANGED_AT),
        _index("mojodex_background_job_to_republish", "process", where="retry_message IS NOT NULL"),
    )
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    occasion: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(server_default="0")
    queued_at: Mapped[datetime] = mapped_column(WITH_ZONE, server_default=text("now()"))
    started_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    finished_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # Paid to models (see `spending.Spending`); None for nothing.
    spent: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    # The last message that began it; None before the first is received.
    message_id: Mapped[str | None] = mapped_column(Text)
    # When SQS deletes its message; None in rows of an earlier release.
    message_expires_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # None in rows of an earlier release, and if the subject no longer exists.
    user_id: Mapped[str | None] = mapped_column(String(255))
    # Attempts that did not end it (see `jobs.release`), oldest first.
    history: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    # What an operator's retry must publish: a `body`, and `sent_at` if the message keeps it.
    retry_message: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class BackgroundCircuit(Base):
    """A provider that is unavailable; others have no row (docs/architecture.md#circuits)."""

    __tablename__ = "md_background_circuit"
    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    probe_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    reason: Mapped[str] = mapped_column(Text)


class BackgroundSpending(Base):
    """What a process paid to models on a UTC day, in `spending.SLOTS` rows (docs/jobs.md#spending)."""

    __tablename__ = "md_background_spending"
    day: Mapped[date] = mapped_column(primary_key=True)
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    usd: Mapped[float]


class BackgroundPausedProcess(Base):
    """A process that an operator has paused, by whom and since when. Its worker gets no messages."""

    __tablename__ = "md_background_paused_process"
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    paused_by: Mapped[str] = mapped_column(Text)


class BackgroundScheduleRun(Base):
    """The last run of a schedule: its end, its messages, and whether it had time for all due work."""

    __tablename__ = "md_background_schedule_run"
    schedule: Mapped[str] = mapped_column(String(64), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    published: Mapped[int]
    complete: Mapped[bool]


class BackgroundAudit(Base):
    """A change that an operator made through the API or the console. It is kept for a year."""

    __tablename__ = "md_background_audit"
    __table_args__ = (_index("mojodex_background_audit_by_target", "target", "audit_pk"),)
    audit_pk: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # The name of the credential.
    who: Mapped[str] = mapped_column(Text)
    # "retry", "cancel", "pause", ...
    action: Mapped[str] = mapped_column(Text)
    # The id of a job or a user, or the name of a process.
    target: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class BackgroundRefusal(Base):
    """Wrong credentials in a row from one network address. They are kept for a day."""

    __tablename__ = "md_background_refusal"
    __table_args__ = (_index("mojodex_background_refusal_by_date", "last_at"),)
    # A hash of the address, and of a group of names.
    address: Mapped[str] = mapped_column(Text, primary_key=True)
    refusals: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundPause(Base):
    """A user who was told that the daily mail pauses until they are active (docs/email.md#pauses)."""

    __tablename__ = "md_background_pause"
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundMail(Base):
    """A mail that SES accepted, and its feedback (docs/email.md). It is kept for 90 days."""

    __tablename__ = "md_background_mail"
    __table_args__ = (
        _index("mojodex_background_mail_by_user", "user_id", "sent_at"),
        _index("mojodex_background_mail_by_sending", "sent_at"),
    )
    # SES's id.
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    # The user, and their address then; None until the worker that sent it has saved them.
    user_id: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(Text)
    # The tag `job` of the mail.
    job: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # When each first happened; None if SES has not reported it.
    delivered_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    soft_bounced_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    bounced_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    complained_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    rejected_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    reasons: Mapped[list[str]] = mapped_column(ARRAY(Text))


class BackgroundMailBlock(Base):
    """An address that gets no mail while it is the user's (docs/email.md#blocked-addresses)."""

    __tablename__ = "md_background_mail_block"
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    address: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(WITH_ZONE)
    # None: for ever, unless an operator lifts it.
    until: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    lifted_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    lifted_by: Mapped[str | None] = mapped_column(Text)


class BackgroundMailToken(Base):
    """The user and the kind of mail behind an unsubscribe link (docs/email.md#unsubscribing)."""

    __tablename__ = "md_background_mail_token"
    token_id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    event_type: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundPage(Base):
    """A page or file that a crawl found, staged until `ingest_page` has handled it (docs/documents.md)."""

    __tablename__ = "md_background_page"
    __table_args__ = (
        UniqueConstraint("subject", "occasion", "key"),
        CheckConstraint(
            "state IN ('found', 'staged', 'stored', 'unchanged', 'skipped', 'failed')",
            "md_background_page_state_check",
        ),
        _index("mojodex_background_page_by_key", "user_id", "key"),
        _index("mojodex_background_open_page", "page_pk", where="state IN ('found', 'staged')"),
        _index(
            "mojodex_background_ended_page",
            "found_at",
            where="state IN ('stored', 'unchanged', 'skipped', 'failed')",
        ),
    )
    page_pk: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    # The key of the website's job in the ledger.
    subject: Mapped[str] = mapped_column(Text)
    occasion: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(String(255))
    url: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    depth: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    # Compressed; deleted when the page ends.
    html: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    charset: Mapped[str | None] = mapped_column(Text)
    html_hash: Mapped[str | None] = mapped_column(Text)
    etag: Mapped[str | None] = mapped_column(Text)
    # The key of the page that this page names as its canonical address.
    canonical: Mapped[str | None] = mapped_column(Text)
    lines: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger), deferred=True)
    found_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    fetched_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # How often the answer was "slow down".
    refusals: Mapped[int | None]
    # The document that a refresh checks; None for a newly found page.
    document_fk: Mapped[int | None]
    # The change of its document: "new", "changed", "missing" or "gone"; None if there is none.
    change: Mapped[str | None] = mapped_column(Text)


class BackgroundDocument(Base):
    """The state of a document at its last fetch, so that unchanged content costs nothing."""

    __tablename__ = "md_background_document"
    document_fk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    etag: Mapped[str | None] = mapped_column(Text)
    html_hash: Mapped[str | None] = mapped_column(Text)
    # Hashes of the chunks that are not relevant (see documents.relevance).
    left_out: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # How it was made (see documents.recipe); None in rows of an earlier release.
    recipe: Mapped[str | None] = mapped_column(Text)
    # When its content was fetched; None for a text, and in rows of an earlier release.
    fetched_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # When the user sent its present text.
    edition_sent: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # Links from the crawl's first page to its page; None in rows of an earlier release.
    depth: Mapped[int | None]
    # When its page was first missing; None if the last fetch found it.
    missing_since: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # When it left the index for that; None if the user deleted it.
    gone_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class BackgroundWebsite(Base):
    """A user's website: its boilerplate, last request and next refresh (docs/documents.md#refresh)."""

    __tablename__ = "md_background_website"
    __table_args__ = (_index("mojodex_background_website_to_refresh", "refresh_at", "user_id", "site"),)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    site: Mapped[str] = mapped_column(Text, primary_key=True)
    # Hashes (see documents.text.page).
    repeated_lines: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    # Key of the crawl's first page; None in rows of an earlier release.
    first_page: Mapped[str | None] = mapped_column(Text)
    # The last request; None in rows of an earlier release.
    website_url: Mapped[str | None] = mapped_column(Text)
    scope: Mapped[str | None] = mapped_column(Text)
    refresh_at: Mapped[datetime] = mapped_column(WITH_ZONE, server_default=text("now()"))


class BackgroundHostSlot(Base):
    """Permission to send one request to a host, which has two (docs/documents.md#politeness)."""

    __tablename__ = "md_background_host_slot"
    host: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    free_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # In slot 1: when a host that rests may be probed; None if it does not rest.
    rests_until: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # Its rests in a row; each is longer than the one before.
    pauses: Mapped[int | None]
    # During a rest: the last robots.txt and its origin, so that a probe is one request, not two.
    origin: Mapped[str | None] = mapped_column(Text)
    robots: Mapped[bytes | None] = mapped_column(LargeBinary)
