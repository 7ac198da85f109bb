"""The modules to mutate, with their tests. The runner picks the tests that execute the changed line."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The parts that decide about addresses, without those about time.
DIALLED = (
    *("PORTS", "GLOBAL_UNICAST", "NOT_PUBLIC", "ISATAP, ISATAP_MASK"),
    *("is_public", "check_port", "_Dialling._addresses", "Adapter"),
)

OPERATED = ("integration/operate/test_jobs_api.py",)
REFRESHES = ("integration/test_refresh.py", "integration/test_refresh_attack.py")


@dataclass(frozen=True)
class Target:
    """A module whose mutants the tests must kill.

    Attributes:
        name: in MODULE=… and in survivors.toml.
        module: its import name.
        path: of its source, from the root.
        tests: files below tests/, quick ones first.
        only: the functions, classes and constants to mutate; () for all.
        sql: the file of a statement that the module reads, which is mutated, too.
        seconds: the most time of tests for one mutant.
    """

    name: str
    module: str
    path: str
    tests: tuple[str, ...]
    only: tuple[str, ...] = ()
    sql: str | None = None
    seconds: float = 15.0


def _layer(name: str, *tests: str) -> Target:
    return Target(name, f"mojodex.{name}", f"shared/mojodex/{name}.py", tests)


def _operate(name: str, *tests: str, sql: str | None = None) -> Target:
    return Target(name, f"operate.{name}", f"functions/operate/{name.replace('.', '/')}.py", tests, sql=sql)


def _todos(module: str, *tests: str, file: str | None = None) -> Target:
    path = f"functions/extract_todos/{file or module.replace('.', '/') + '.py'}"
    return Target(module.rpartition(".")[2], f"extract_todos.{module}", path, tests)


def _documents(
    module: str, *tests: str, only: tuple[str, ...] = (), seconds: float = Target.seconds
) -> Target:
    path = f"functions/documents/{module.replace('.', '/')}.py"
    return Target(module.rpartition(".")[2], f"documents.{module}", path, tests, only, seconds=seconds)


# The most important first.
TARGETS = (
    _layer("jobs", "integration/test_jobs.py"),
    _layer("worker", "unit/test_worker.py"),
    _layer("queues", "unit/test_queues.py", "structure/test_template.py"),
    _layer("batches", "unit/test_queues.py"),
    Target(
        "redrive",
        "maintenance.redrive",
        "functions/maintenance/redrive.py",
        ("unit/test_redrive.py", "integration/test_redrive_function.py"),
    ),
    _layer("republishing", *OPERATED, "integration/test_redrive_function.py"),
    _operate("jobs.retry", *OPERATED, sql="functions/operate/jobs/retry.sql"),
    _operate("jobs.cancel", *OPERATED),
    _layer("mail_ledger", "integration/test_mail_feedback.py"),
    _layer("feedback", "unit/test_feedback.py"),
    _layer("circuit", "integration/test_circuit.py"),
    _layer("spending", "unit/test_prices.py", "integration/test_spending.py"),
    _layer(
        "schedule",
        *("unit/test_schedule.py", "integration/test_schedule.py", "integration/test_message_groups.py"),
    ),
    Target(
        "extraction",
        "extract_todos.extraction",
        "functions/extract_todos/extraction.py",
        ("integration/test_extract_todos.py", "integration/test_outages.py"),
        ("save", "_without_twins", "_insert"),
        "functions/extract_todos/insert_todos.sql",
    ),
    _todos(
        "checking",
        *("unit/test_extraction.py", "integration/test_extract_todos.py", "integration/test_defects.py"),
    ),
    _todos("days", "unit/test_days.py", file="days/__init__.py"),
    _todos("days.dates", "unit/test_days.py"),
    _todos("days.rules", "unit/test_days.py"),
    _todos("days.scanner", "unit/test_days.py"),
    Target(
        "rescheduling",
        "reschedule_todo.rescheduling",
        "functions/reschedule_todo/rescheduling.py",
        ("integration/test_reschedule_todo.py", "integration/test_dormant.py"),
        ("save",),
    ),
    Target(
        "delivery",
        "events.mail.delivery",
        "functions/events/mail/delivery.py",
        ("unit/test_delivery.py", "integration/test_dormant.py"),
    ),
    _documents(
        "web.fetch",
        "integration/test_fetch.py",
        only=("FetchSettings", "_request"),
    ),
    _documents("web.connections", "integration/test_fetch.py", only=DIALLED),
    _documents(
        "ingest_page.ingestion",
        *("integration/test_document_saves.py", "integration/test_ingest_page.py"),
        only=("save", "_end", "end_page_of", "_documents_of_page"),
    ),
    _documents(
        "document_store",
        *("integration/test_document_saves.py", "integration/test_ingest_page.py"),
        only=("write", "remember"),
    ),
    _documents(
        "update_document.update",
        *("integration/test_document_saves.py", "integration/test_update_document.py"),
        only=("save",),
    ),
    _documents(
        "create_from_website.publishing",
        *("integration/test_publishing.py", "integration/test_documents_killed.py"),
    ),
    # Nearly all of these tests execute each line, and a slow one may be the one that kills a mutant.
    _documents(
        "create_from_website.recorder",
        *(*REFRESHES, "integration/test_create_from_website.py"),
        seconds=120,
    ),
    _documents(
        "create_from_website.existing_pages",
        *("unit/test_sitemap.py", *REFRESHES, "integration/test_rests.py"),
        seconds=120,
    ),
)
