"""The payloads for `make invoke` are listed in a table, and each good one is a message of its process."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from documents.message import CreateFromWebsite, IngestPage, UpdateDocument
from events.message import SendEvent
from extract_todos.message import ExtractTodos
from mail_feedback.message import SesEvent
from reschedule_todo.message import RescheduleTodo
from tests import ROOT

FOLDER = ROOT / "tests" / "payloads"
MESSAGES: dict[str, type[BaseModel]] = {
    "create_from_website": CreateFromWebsite,
    "events": SendEvent,
    "extract_todos": ExtractTodos,
    "ingest_page": IngestPage,
    "mail_feedback": SesEvent,
    "reschedule_todo": RescheduleTodo,
    "update_document": UpdateDocument,
}
OF_PROCESSES = [path for path in sorted(FOLDER.glob("*.json")) if path.stem.startswith(tuple(MESSAGES))]


def test_the_table_lists_each_payload() -> None:
    table = (FOLDER / "README.md").read_text()
    listed = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)

    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", OF_PROCESSES, ids=lambda path: path.stem)
def test_a_payload_is_valid_unless_its_name_ends_in_bad(path: Path) -> None:
    (record,) = json.loads(path.read_text())["Records"]
    body = record["body"]
    message = next(found for process, found in MESSAGES.items() if path.stem.startswith(process))

    assert record["md5OfBody"] == hashlib.md5(body.encode()).hexdigest()
    if path.stem.endswith("_bad"):
        with pytest.raises(ValidationError):
            message.model_validate_json(body)
    elif message is SesEvent:
        # SES sends more fields than the bundle reads.
        message.model_validate_json(body)
    else:
        assert message.model_validate_json(body).model_dump_json(exclude_unset=True) == json.dumps(
            json.loads(body), separators=(",", ":")
        )
