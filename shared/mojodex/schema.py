"""Describe the tables that the bundle uses, as SQLAlchemy models.

Mojodex owns the tables `md_…`. For them, this module has only the columns that the bundle reads or writes
and the indexes that it adds. The bundle owns the tables `md_background_…`, described here in full.
Each key is drawn by its column's default in the database: a statement that names a sequence pins the
connection behind RDS Proxy.
docs/database.md tells which query needs which index, and how to add a column or an index.
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

# Mojodex's "timestamp" columns hold UTC without saying so; its "timestamptz" columns say so.
UTC_WITHOUT_ZONE = DateTime(timezone=False)
WITH_ZONE = DateTime(timezone=True)
# When a job was queued, or when it ended.
CHANGED_AT = "COALESCE(finished_at, queued_at)"


def _index(name: str, *columns: str, include: str | None = None, where: str | None = None) -> Index:
    """Describe an index, which the migration builds while the database goes on writing.

    Args:
        name, columns: of the index; a column may be an expression.
        include: a column that the index holds besides.
        where: the SQL condition of a partial index.
    """
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
    """The ledger: one row per job (see `jobs`)."""

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
    # What it has paid to models (see `spending.Spending`); None for nothing.
    spent: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    # The message that began it last; None while its message was not received yet.
    message_id: Mapped[str | None] = mapped_column(Text)
    # From when on SQS does not deliver its message; None in rows of an earlier release.
    message_expires_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # Whose it is; None in rows of an earlier release, and of a subject that is gone.
    user_id: Mapped[str | None] = mapped_column(String(255))
    # Attempts that have not ended it (see `jobs.release`), oldest first.
    history: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    # The message to publish, of a job that somebody retries: its `body`, and `sent_at` if it keeps that.
    retry_message: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class BackgroundCircuit(Base):
    """A provider that is away (see `circuit`). A provider that works has no row."""

    __tablename__ = "md_background_circuit"
    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # When the next probe may ask it.
    probe_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    reason: Mapped[str] = mapped_column(Text)


class BackgroundSpending(Base):
    """What a process has paid to models on a day of UTC, in as many rows as `spending` says."""

    __tablename__ = "md_background_spending"
    day: Mapped[date] = mapped_column(primary_key=True)
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    usd: Mapped[float]


class BackgroundPausedProcess(Base):
    """A process that somebody has paused: its worker gets no messages."""

    __tablename__ = "md_background_paused_process"
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    paused_by: Mapped[str] = mapped_column(Text)


class BackgroundScheduleRun(Base):
    """The last run of each schedule that has ended."""

    __tablename__ = "md_background_schedule_run"
    schedule: Mapped[str] = mapped_column(String(64), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    published: Mapped[int]
    # Whether it had time for all that was due.
    complete: Mapped[bool]


class BackgroundAudit(Base):
    """A change that somebody made through the API or the console."""

    __tablename__ = "md_background_audit"
    __table_args__ = (_index("mojodex_background_audit_by_target", "target", "audit_pk"),)
    audit_pk: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # The name of the credential.
    who: Mapped[str] = mapped_column(Text)
    # What was done: "retry", "cancel", "pause", ...
    action: Mapped[str] = mapped_column(Text)
    # To what: the id of a job, the name of a process.
    target: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class BackgroundRefusal(Base):
    """Wrong credentials from one network address, in a row."""

    __tablename__ = "md_background_refusal"
    __table_args__ = (_index("mojodex_background_refusal_by_date", "last_at"),)
    # A hash of the address, and of a group of names.
    address: Mapped[str] = mapped_column(Text, primary_key=True)
    refusals: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundPause(Base):
    """A user who was told that the daily mail pauses, and when: until they give a sign of life."""

    __tablename__ = "md_background_pause"
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundMail(Base):
    """A mail that SES has taken, and what SES tells of it (see `feedback`)."""

    __tablename__ = "md_background_mail"
    __table_args__ = (
        _index("mojodex_background_mail_by_user", "user_id", "sent_at"),
        _index("mojodex_background_mail_by_sending", "sent_at"),
    )
    # SES's id.
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    # Whose it is, and what their address was; None until the worker that sent it has saved that.
    user_id: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(Text)
    # The tag `job` of the mail.
    job: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # When it first happened; None if SES has not told of it.
    delivered_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    soft_bounced_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    bounced_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    complained_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    rejected_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    reasons: Mapped[list[str]] = mapped_column(ARRAY(Text))


class BackgroundMailBlock(Base):
    """An address of a user that gets no mail, and why (see `feedback.block_of`).

    It counts while it is not over, nobody has lifted it since, and the address is still the user's.
    """

    __tablename__ = "md_background_mail_block"
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    address: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(WITH_ZONE)
    # None for good.
    until: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # When an operator lifted it last, and who.
    lifted_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    lifted_by: Mapped[str | None] = mapped_column(Text)


class BackgroundMailToken(Base):
    """Whom the link of a mail unsubscribes, and from what (see `unsubscribing`)."""

    __tablename__ = "md_background_mail_token"
    token_id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    event_type: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(WITH_ZONE)


class BackgroundPage(Base):
    """A page of a website that is being read, or was (see documents.crawl)."""

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
    # Compressed; deleted when the page has ended.
    html: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    charset: Mapped[str | None] = mapped_column(Text)
    html_hash: Mapped[str | None] = mapped_column(Text)
    etag: Mapped[str | None] = mapped_column(Text)
    # The key of the page that this page names as its canonical address.
    canonical: Mapped[str | None] = mapped_column(Text)
    lines: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger), deferred=True)
    found_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    fetched_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # How often it was answered "slow down".
    refusals: Mapped[int | None]
    # The document that a refresh looks after here; None for a page that it has found.
    document_fk: Mapped[int | None]
    # What came of it for its document: "new", "changed", "missing" or "gone"; None for nothing.
    change: Mapped[str | None] = mapped_column(Text)


class BackgroundDocument(Base):
    """What is remembered of a document, so that what has not changed costs nothing."""

    __tablename__ = "md_background_document"
    document_fk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    etag: Mapped[str | None] = mapped_column(Text)
    html_hash: Mapped[str | None] = mapped_column(Text)
    # Hashes of the chunks that are not relevant (see documents.relevance).
    left_out: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # How it was made, see documents.recipe; None in rows of an earlier release.
    recipe: Mapped[str | None] = mapped_column(Text)
    # When what it holds was fetched; None for a text, and in rows of an earlier release.
    fetched_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # When the user sent the text that the document holds now.
    edition_sent: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # Links that lead to its page from where the crawl began; None in rows of an earlier release.
    depth: Mapped[int | None]
    # Since when its page could not be found; None if it was there the last time.
    missing_since: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # When it left the index because of that. What the user deleted has no such moment.
    gone_at: Mapped[datetime | None] = mapped_column(WITH_ZONE)


class BackgroundWebsite(Base):
    """What is known of a user's website: what is on most of its pages, which page keeps that, and when it is
    to be refreshed.
    """

    __tablename__ = "md_background_website"
    __table_args__ = (_index("mojodex_background_website_to_refresh", "refresh_at", "user_id", "site"),)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    site: Mapped[str] = mapped_column(Text, primary_key=True)
    # Hashes (see documents.text.page).
    repeated_lines: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    # Key of the page where the crawl began; None in rows of an earlier release.
    first_page: Mapped[str | None] = mapped_column(Text)
    # What was asked for last; None in rows of an earlier release.
    website_url: Mapped[str | None] = mapped_column(Text)
    scope: Mapped[str | None] = mapped_column(Text)
    refresh_at: Mapped[datetime] = mapped_column(WITH_ZONE, server_default=text("now()"))


class BackgroundHostSlot(Base):
    """The right to send one request to a host, until it is free again (see documents.turns)."""

    __tablename__ = "md_background_host_slot"
    host: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    free_at: Mapped[datetime] = mapped_column(WITH_ZONE)
    # In the row of slot 1: when a host that has asked us to slow down may be asked next. Then one request is
    # sent at a time. NULL: the host does not rest.
    rests_until: Mapped[datetime | None] = mapped_column(WITH_ZONE)
    # Its pauses in a row; each one is longer than the one before.
    pauses: Mapped[int | None]
    # While it rests: what robots.txt of this origin said before, so that a probe is one request and not two.
    origin: Mapped[str | None] = mapped_column(Text)
    robots: Mapped[bytes | None] = mapped_column(LargeBinary)
