"""A process imports only itself and the layer. Heavy libraries are imported only where needed."""

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
OURS = PROCESSES | {"mojodex", "local", "tests", "bench", "evals"}


def modules(path: Path) -> set[str]:
    """Names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.add(node.module or "")
    return names


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    return {name.partition(".")[0] for name in modules(path)}


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_a_process_imports_only_itself_and_the_layer(process: str) -> None:
    for path in (ROOT / "functions" / process).rglob("*.py"):
        ours = {name for name in modules(path) if name.partition(".")[0] in OURS}
        if process == "operate":
            # It publishes the other processes' messages.
            ours = {name for name in ours if not name.endswith(".message")}
        assert {name.partition(".")[0] for name in ours} <= {process, "mojodex"}, path


def test_the_layer_imports_only_itself() -> None:
    for path in (ROOT / "shared" / "mojodex").rglob("*.py"):
        assert imported(path) & OURS <= {"mojodex"}, path


def test_only_its_tests_import_the_evaluation() -> None:
    for folder in ("functions", "shared", "local", "bench", "chaos", "simulation", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "evals" not in imported(path), path


def test_the_evaluation_imports_no_other_tool() -> None:
    for path in (ROOT / "evals").rglob("*.py"):
        assert not imported(path) & {"bench", "chaos", "simulation", "tools"}, path


DATABASE = ("sqlalchemy", "mojodex.database", "mojodex.schema")
NETWORK = ("requests", "urllib3", "documents.web")
MODELS = ("mojodex.model", "mojodex.embeddings", "openai")


@pytest.mark.parametrize(
    ("folder", "others"),
    [
        ("documents/text", (*DATABASE, *NETWORK, *MODELS)),
        ("documents/web", (*DATABASE, *MODELS, "documents.text")),
    ],
)
def test_parsers_have_no_network_and_the_fetcher_uses_the_database_only_for_host_slots(
    folder: str, others: tuple[str, ...]
) -> None:
    for path in (ROOT / "functions" / folder).glob("*.py"):
        if path.name != "host_slots.py":
            found = {name for name in modules(path) if name.startswith(others)}
            assert not found, path


# Libraries that import slowly: for models, and for pages and PDFs (trafilatura needs babel).
MODEL, PAGES = {"openai", "jinja2"}, {"bs4", "trafilatura", "babel", "pypdfium2"}


@pytest.mark.parametrize("name", functions())
def test_a_function_imports_only_the_heavy_libraries_that_it_uses(name: str) -> None:
    function = functions()[name]
    module = function["Handler"].rpartition(".")[0]
    variables = set(function["Environment"]["Variables"])
    allowed = (MODEL if "LLM_MODELS" in variables else set()) | (
        PAGES if "EMBEDDING_MODEL" in variables else set()
    )

    program = f"import sys, {module}; print(*{MODEL | PAGES} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "functions", ROOT / "shared")))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert set(printed.split()) <= allowed


def test_a_module_of_documents_has_300_lines_at_most() -> None:
    for path in (ROOT / "functions" / "documents").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path
