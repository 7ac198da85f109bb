"""The artifacts that `make build` makes for AWS."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.structure.template import functions

BUILD = ROOT / ".aws-sam" / "build"
LAYER = BUILD / "MojodexLayer" / "python"
MEGABYTE = 1_000_000


def size(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_the_layer_and_each_function_are_within_125_megabytes() -> None:
    layer = size(LAYER.parent)

    assert layer > 10 * MEGABYTE
    for name in functions():
        assert layer + size(BUILD / name) < 125 * MEGABYTE


@pytest.mark.parametrize("name", [*functions(), "MojodexLayer"])
def test_bytecode_is_compiled_and_not_checked_against_dates(name: str) -> None:
    """SAM dates every file 1980, so dated bytecode would never match. PEP 552: flags 1, unchecked hash."""
    directory = BUILD / name
    sources = [path for path in directory.rglob("*.py") if "template" not in path.name]

    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.is_file(), source
        assert struct.unpack("<I", compiled.read_bytes()[4:8]) == (1,), source


@pytest.mark.parametrize("name", functions())
def test_a_function_contains_its_handler_prompts_and_sql_and_no_other_folder(name: str) -> None:
    module = functions()[name]["Handler"].rpartition(".")[0]

    assert (BUILD / name / (module.replace(".", "/") + ".py")).is_file()
    files = [path for ending in ("mpt", "sql") for path in (ROOT / "functions").rglob(f"*.{ending}")]
    assert {path.suffix for path in files} == {".mpt", ".sql"}
    for path in files:
        assert (BUILD / name / path.relative_to(ROOT / "functions")).is_file()
    assert not {"tests", "local", "bench", "evals", "shared"} & {
        path.name for path in (BUILD / name).iterdir()
    }


def test_only_the_migration_has_alembic_and_nothing_that_the_layer_has() -> None:
    layer = {path.name.partition("-")[0] for path in LAYER.glob("*.dist-info")}
    brought = {
        name: {path.name.partition("-")[0] for path in (BUILD / name).glob("*.dist-info")}
        for name in functions()
    }

    assert brought.pop("MigrateFunction") == {"alembic", "mako"}
    assert not any(brought.values())
    assert not {"alembic", "mako"} & layer


def test_libraries_keep_their_metadata_and_are_for_arm64() -> None:
    names = {path.name.partition("-")[0] for path in LAYER.glob("*.dist-info")}
    binaries = list(LAYER.rglob("*.so"))

    assert {
        "openai",
        "sqlalchemy",
        "pg8000",
        "boto3",
        "pydantic",
        "jinja2",
        "trafilatura",
        "pgvector",
        "pypdfium2",
    } <= {name.lower() for name in names}
    assert binaries
    # ELF's e_machine: 183 is AArch64.
    assert {struct.unpack("<H", path.read_bytes()[18:20])[0] for path in binaries} == {183}


def test_the_layer_describes_the_services_that_we_use_and_no_others() -> None:
    """botocore describes 400 services; the layer's Makefile keeps the ones that it names."""
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared" / "mojodex").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r'\.client\(\s*"([a-z0-9-]+)"', path.read_text())}
    kept = {path.name for path in (LAYER / "botocore" / "data").iterdir() if path.is_dir()}

    # Powertools' SecretsProvider makes this client.
    assert kept == used | {"secretsmanager"} == {"secretsmanager", "sesv2", "sqs"}


DATES = """
from datetime import date, timedelta
from babel import Locale
from babel.dates import format_date
from babel.localedata import locale_identifiers
from mojodex.localized_dates import locale_for, long_day

days = [date(2026, 1, 1) + timedelta(days=33 * number) for number in range(12)]
for code in sorted(locale_identifiers()):
    locale = locale_for(code)
    names = [format_date(day, form, locale) for day in days for form in ("EEEE", "d MMMM", "MMMM d")]
    print(code, locale.text_direction, [long_day(day, code) for day in days], names)
"""


def test_dates_are_the_same_as_with_all_locales_of_babel(tmp_path: Path) -> None:
    """The layer's Makefile leaves out most of Babel's locales."""

    def dates(*path: Path) -> str:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONUTF8": "1"}
        return subprocess.run(
            [sys.executable, "-c", DATES], env=environment, capture_output=True, text=True, check=True
        ).stdout

    ours = ROOT / "shared"
    whole = dates(ours)

    assert len(whole.splitlines()) > 1000
    # Copy babel alone, because the layer's other libraries are for another processor.
    shutil.copytree(LAYER / "babel", tmp_path / "babel")
    assert dates(tmp_path, ours) == whole


# All handlers, and their lazy imports for a page, a PDF, a date, a model, the database and AWS.
EVERYTHING = """
import importlib, sys, warnings
warnings.simplefilter("error")
# Mako imports it only where it is installed, as it is here.
sys.modules["pygments"] = None
for module in sys.argv[1:]:
    importlib.import_module(module)

import boto3, openai, sqlalchemy
from documents.text import chunks, docx, main_text, page, pdf_rows
from mojodex.localized_dates import locale_for
from mojodex.total_timeout import _connection_pool
text = "<p>" + "What we sell, and what it costs. " * 20
tree = page.parse(f"<title>Us</title><nav>Home</nav><main><h1>Us</h1>{text}</main>".encode(), "utf-8")
assert chunks.chunks_of(main_text.main_lines(tree, frozenset()))
assert locale_for("fr").language == "fr"
for api in (
    openai.OpenAI(api_key="-"),
    openai.AzureOpenAI(api_key="-", azure_endpoint="http://-", api_version="-"),
):
    api.chat.completions.with_raw_response
    api.embeddings.with_raw_response
_connection_pool("https", None)
_connection_pool("https", "http://-")
sqlalchemy.create_engine("postgresql+pg8000://")
for service in ("secretsmanager", "sesv2", "sqs"):
    boto3.client(service)

files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(*(file for file in files if "site-packages" in file))
"""


def test_the_build_removes_nothing_that_is_imported() -> None:
    """The libraries of this machine are complete; the built ones lack the files that the Makefiles remove."""
    handlers = [function["Handler"].rpartition(".")[0] for function in functions().values()]

    printed = subprocess.run(
        [sys.executable, "-c", EVERYTHING, *handlers],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "functions", ROOT / "shared")))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Drop the suffix, which names the processor of a compiled module.
    imported = {path.partition("site-packages/")[2].partition(".")[0] for path in printed.split()}
    kept = {
        str(path.relative_to(folder)).partition(".")[0]
        for folder in (LAYER, BUILD / "MigrateFunction")
        for path in folder.rglob("*")
    }

    assert len(imported) > 1000
    assert not imported - kept
