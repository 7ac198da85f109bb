"""Two floors: processes stand on the layer and on nothing else of ours; a schedule imports no heavy SDK."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.structure.template import functions

PROCESSES = {
    path.name for path in (ROOT / "functions").iterdir() if path.is_dir() and path.name != "__pycache__"
}
OURS = PROCESSES | {"mojodex", "local", "tests", "bench"}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_a_process_imports_only_itself_and_the_layer(process: str) -> None:
    for path in (ROOT / "functions" / process).rglob("*.py"):
        assert imported(path) & OURS <= {process, "mojodex"}, path


def test_the_layer_imports_only_itself() -> None:
    for path in (ROOT / "shared" / "mojodex").rglob("*.py"):
        assert imported(path) & OURS <= {"mojodex"}, path


@pytest.mark.parametrize("name", [n for n in functions() if not n.endswith("WorkerFunction")])
def test_only_workers_import_the_model_sdk_and_page_parsers(name: str) -> None:
    module = functions()[name]["Handler"].rpartition(".")[0]
    heavy = ("openai", "bs4", "jinja2", "trafilatura", "babel")

    printed = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*[m for m in {heavy} if m in sys.modules])"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "functions", ROOT / "shared")))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert printed.strip() == ""
