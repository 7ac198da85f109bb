"""Generate docs/settings.md from template.yaml, and docs/database.md from the models.

`python -m tools.pages` fails if a page is out of date; with `--write` it writes the pages.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from cfnlint.decode import decode
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateIndex

ROOT = Path(__file__).resolve().parent.parent
# As in a Lambda environment, the layer's packages are top-level ones.
sys.path.insert(0, str(ROOT / "shared"))
LONGEST_CELL = 120
OPEN_TODOS = "`events` schedule; workers of to-dos and mails: the open to-dos of a user"
NEWEST_VERSION = "`extract_todos` schedule; workers of to-dos and mails: an execution's newest version"
# The queries that need each index of the models.
NEEDED_FOR = {
    "mojodex_background_user_by_offset": "`events` schedule: users by time zone",
    "mojodex_background_session_by_user": "`reschedule_todo`, `events`: dormant users",
    "mojodex_background_user_task_by_user": OPEN_TODOS,
    "mojodex_background_execution_by_user_task": OPEN_TODOS,
    "mojodex_background_message_by_session": "`extract_todos` worker: a conversation; dormant users",
    "mojodex_background_text_by_execution": NEWEST_VERSION,
    "mojodex_background_version_by_date": "`extract_todos` schedule: keyset pages of the look-back, in order",
    "mojodex_background_version_by_text": NEWEST_VERSION,
    "mojodex_background_todo_by_execution": OPEN_TODOS,
    "mojodex_background_open_todo": "`reschedule_todo` schedule, once a night: keyset pages of open to-dos",
    "mojodex_background_scheduling_by_todo": "`reschedule_todo`, `events`: the newest date of a to-do",
    "mojodex_background_scheduling_by_date": "`reschedule_todo` schedule: dates since the last working day",
    "mojodex_background_document_by_name": "`create_from_website`, `ingest_page`: the document of a page",
    "mojodex_background_chunk_by_document": "`ingest_page`, `update_document`: the chunks of a document",
    "mojodex_background_ended_job": "purge: the oldest jobs",
    "mojodex_background_job_by_message": "redrive: the jobs of dead letters",
    "mojodex_background_job_by_state": "console and API: the jobs of a process in a state, by time",
    "mojodex_background_job_by_user": "console and API: the jobs of a user, by time",
    "mojodex_background_job_to_republish": "redrive: jobs that an operator retries",
    "mojodex_background_audit_by_target": "console and API: the changes to a job or a process",
    "mojodex_background_refusal_by_date": "purge: the oldest refused credentials",
    "mojodex_background_mail_by_user": "`mail_feedback` worker: the mails of a user whose mail bounced",
    "mojodex_background_mail_by_sending": "purge: the oldest mails",
    "mojodex_background_page_by_key": "`create_from_website` worker: the outcome of a page's last crawl",
    "mojodex_background_open_page": "`documents` schedule: pages that wait",
    "mojodex_background_ended_page": "purge: the oldest pages",
    "mojodex_background_website_to_refresh": "`documents` schedule: the websites that are due, by time",
}

SETTINGS = """# Settings

For operators: which parameters does a deployment take?

Pass them to `sam deploy --parameter-overrides` ([deploy](deploy.md#deploy)). At the next deployment, a
parameter that is not named keeps its value. sam ignores a name that is not on this page; `make up`
refuses it.

- sam cuts a value at its first space, unless it has two pairs of quotation marks:
  `'EmailSenderName="Acme Assistant"'`. An empty value is `'AlarmEmail=""'`.
- On this machine: `make up PARAMETERS="EmailSenderName='Acme Assistant' AlarmEmail= LogLevel=DEBUG"`.

`python -m tools.pages --write` makes this page from `template.yaml`.
"""
DATABASE = """# Database

For operators and developers: which tables and indexes does the bundle add, and what are they for?

The [migration](deploy.md#migrate) only adds: it alters no table of Mojodex. Our tables have no foreign keys,
so Mojodex need not know them, and a row can outlive the row that it is about. `python -m tools.pages --write`
makes this page from [schema.py](../shared/mojodex/schema.py), which also has the columns.

## Tables

{tables}

`md_background_migration` has one row, with the version of the database. Alembic writes it.

## Indexes on Mojodex's tables

Mojodex's tables have primary keys and no other index.

{of_mojodex}

`md_document_chunk.embedding` has no index of ours: the bundle writes vectors and never searches them.

## Indexes on our tables

Schedules and workers find a job by the primary key of the ledger, and a page by its unique key.

{of_ours}

Version 0010 lowers the autovacuum scale factors of `md_background_job` to 0.02. Otherwise its indexes keep
entries of past states for long. A count of waiting jobs reads them all (`python -m bench.jobs`).

[plans.md](../bench/results/plans.md) has the query plans for a million executions and for 1,000,000 users.

## Removal

After [the stack is deleted](deploy.md#remove), these statements remove what the migration added:

```sql
DROP TABLE {all_tables};
{drop_indexes}
```
"""


def linked(text: str) -> str:
    """Turn references such as docs/email.md#ses into links."""
    return re.sub(r"docs/((\w+)\.md(?:#[\w-]+)?)", r"[\2](\1)", text)


def table(columns: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; `columns` are separated by commas."""
    names = columns.split(", ")
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *rows))


def values_of(parameter: dict[str, Any]) -> str:
    """Describe the values that a parameter may have."""
    if values := parameter.get("AllowedValues"):
        return ", ".join(f"`{value}`" if isinstance(value, str) else str(value) for value in values)
    if constraint := parameter.get("ConstraintDescription"):
        return str(constraint).removeprefix("must be ").removeprefix("the ")
    return f"{parameter['MinValue']} " + (f"to {most}" if (most := parameter.get("MaxValue")) else "or more")


def settings_page() -> str:
    """Return docs/settings.md: a section for each group of the template's parameters."""
    template, _problems = decode(str(ROOT / "template.yaml"))
    page = SETTINGS
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        rows, notes = [], []
        for name in group["Parameters"]:
            parameter = template["Parameters"][name]
            # Sentences that do not fit into the cell follow the table.
            cell, *others = re.split(r"(?<=\.) (?=[A-Z0-9`])", parameter["Description"])
            while others and len(f"{cell} {others[0]}") <= LONGEST_CELL:
                cell += f" {others.pop(0)}"
            default = parameter.get("Default")
            given = "required" if default is None else f"`{default}`" if default != "" else "empty"
            rows.append((f"`{name}`", given, values_of(parameter), linked(cell)))
            note = linked(f"- `{name}`: {' '.join(others)}")
            notes += [fill(note, 120, subsequent_indent="  ", break_on_hyphens=False)] if others else []
        settings = table("name, default, allowed values, what it does", rows)
        parts = f"## {group['Label']['default']}", settings, "\n".join(notes)
        page += "\n" + "\n\n".join(filter(None, parts)) + "\n"
    return page


def database_page() -> str:
    """Return docs/database.md: our tables with their docstrings, the indexes with their queries."""
    from mojodex.schema import Base

    engine = create_engine("postgresql+pg8000://")
    purposes = {str(mapper.local_table): mapper.class_.__doc__ or "" for mapper in Base.registry.mappers}
    ours = [name for name in Base.metadata.tables if name.startswith("md_background_")]
    indexes: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for name, model_table in Base.metadata.tables.items():
        for index in sorted(model_table.indexes, key=lambda index: str(index.name)):
            on = str(CreateIndex(index).compile(engine)).partition(" ON ")[2]
            indexes[name in ours].append((f"`{index.name}`", f"`{on}`", NEEDED_FOR[str(index.name)]))
    return DATABASE.format(
        tables=table("table, what it holds", [(f"`{name}`", linked(purposes[name])) for name in ours]),
        of_mojodex=table("index, on, needed for", indexes[False]),
        of_ours=table("index, on, needed for", indexes[True]),
        all_tables=", ".join([*ours, "md_background_migration"]),
        drop_indexes="\n".join(f"DROP INDEX CONCURRENTLY {row[0].strip('`')};" for row in indexes[False]),
    )


PAGES = {ROOT / "docs/settings.md": settings_page, ROOT / "docs/database.md": database_page}


def main(*, write: bool) -> int:
    """Write the pages, or check them; return the exit code."""
    outdated = [path for path, page in PAGES.items() if not path.exists() or path.read_text() != page()]
    for path in outdated:
        if write:
            path.write_text(PAGES[path]())
        else:
            print(f"docs/{path.name} is out of date: run `python -m tools.pages --write`", file=sys.stderr)
    return int(bool(outdated) and not write)


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv))
