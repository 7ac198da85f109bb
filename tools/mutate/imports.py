"""Import the modules that a target's tests need, except those that depend on its module."""

import ast
import gc
import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from tools.mutate.targets import ROOT, Target

NOT_OURS = (".venv", ".tools")


def preload(target: Target) -> set[str]:
    """Import the tests. Then unload the target's module and its importers, which a fork imports again.

    Returns:
        The names of the unloaded modules, without tests.
    """
    # Pytest's plugins, and hypothesis, which is imported at the end of each run.
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    importlib.import_module("hypothesis")
    importlib.import_module("tests.conftest")
    for name in target.tests:
        if (ROOT / "tests" / name).exists():
            importlib.import_module(f"tests.{name.removesuffix('.py').replace('/', '.')}")
    ours = {name: path for name, module in sys.modules.items() if (path := _path(module))}
    used = {name: _imported(path) for name, path in ours.items()}
    stale = {target.module, *(name for name in ours if name.partition(".")[0] == "tests")}
    while more := {name for name, names in used.items() if names & stale} - stale:
        stale |= more
    for name in stale:
        sys.modules.pop(name, None)
        package, _, last = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(last, None)
    # Freeze the objects, so that a fork's garbage collection skips them.
    gc.collect()
    gc.freeze()
    return {name for name in stale if name.partition(".")[0] != "tests"}


def _path(module: ModuleType) -> Path | None:
    """Return the file of a module of this repository, None for other modules."""
    if not (name := getattr(module, "__file__", None)):
        return None
    path = Path(name)
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] in (*NOT_OURS, "tools"):
        return None
    return path if path.suffix == ".py" else None


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
