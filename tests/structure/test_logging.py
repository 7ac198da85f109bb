"""Log calls use no reserved field, which would raise only when the line is written."""

import ast
import logging

from tests import ROOT

RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def test_no_log_line_uses_a_reserved_field() -> None:
    checked = 0
    for path in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
                names = {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
                assert not names & RESERVED, f"{path.name}:{node.value.lineno}: {names & RESERVED}"
                checked += 1

    assert checked >= 5
