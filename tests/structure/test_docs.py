"""The README and the docs say what is there."""

import re
import tomllib
from pathlib import Path

import pytest

from local.runtime.deploy import BUILD_DIRECTORY
from tests import ROOT
from tests.pages import PAGES, README, blocks, commands, without_code
from tests.structure.template import functions, template

MAKEFILE = (ROOT / "Makefile").read_text()
CI = (ROOT / ".ci" / "run").read_text()


def test_ci_runs_what_the_readme_names() -> None:
    lines = re.findall(r"^make (.+)$", CI, re.MULTILINE)
    in_ci = {word for line in lines for word in line.split() if not word.startswith("-")}

    assert {"demo", "test"} <= in_ci
    assert {"make demo", "make test"} <= set(commands())
    assert all(f"make {target}" in README.read_text() for target in in_ci)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))

    for target in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE):
        assert target in targets


def test_names_in_deploy_commands_exist() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    environments = set(re.findall(r"^\[(\w+)\.deploy", (ROOT / "samconfig.toml").read_text(), re.MULTILINE))

    given = "\n".join(block for page in PAGES for block in blocks("bash", page))
    for name in re.findall(r"\b([A-Z]\w+)=(?:arn:|\$|…|<)", given):
        assert name in template()["Parameters"] or name.isupper()
    for environment in re.findall(r"--config-env (\w+)", text):
        assert environment in environments
    for function in re.findall(r"FUNCTION=(\w+)", text):
        assert function in functions()
    for payload in re.findall(r"EVENT=([\w/.-]+)", text):
        assert (ROOT / payload).is_file()


def test_only_a_build_is_deployed() -> None:
    """Without a template that is named, and a forgotten `make build`, sam deploys the sources."""
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())

    deployed = {
        name: environment["deploy"]["parameters"]["template_file"]
        for name, environment in samconfig.items()
        if isinstance(environment, dict) and "deploy" in environment
    }

    local = str((BUILD_DIRECTORY / "template.yaml").relative_to(ROOT))
    for_aws = ".aws-sam/build/template.yaml"
    assert deployed == {"local": local, "staging": for_aws, "production": for_aws}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for name, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / name if name else page
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target), f"{name}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_task_of_contributing_leads_to_a_file_that_is_there() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Ten tasks")[2].partition("\n## ")[0]
    rows = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")][1:]
    files = re.findall(r"`((?:[\w<>-]+/)+[\w.]+|template\.yaml)`", "".join(rows))

    assert len(rows) == 10
    assert len(files) >= 10
    for file in files:
        assert list(ROOT.glob(file.replace("<process>", "*"))), file


def test_the_runbook_searches_the_fields_of_json_logs() -> None:
    """Newer runtimes do not write "Task timed out": their report has a status."""
    assert template()["Globals"]["Function"]["LoggingConfig"]["LogFormat"] == "JSON"
    runbook = (ROOT / "docs" / "operations.md").read_text()
    patterns = re.findall(r"--filter-pattern +(\S)(.*?)\1", runbook)

    searched = [pattern for _, pattern in patterns]
    assert len(searched) >= 5
    assert all(pattern.startswith("{ ") for pattern in searched)
    ends = [pattern for pattern in searched if "$.record.status" in pattern]
    assert len(ends) == 2
    for status in ("timeout", "error", "failure"):
        assert all(f'$.record.status = "{status}"' in pattern for pattern in ends)


SECURITY = (ROOT / "docs" / "security.md").read_text()


def test_every_defence_of_the_threat_model_has_a_test_that_exists() -> None:
    named = re.findall(r"`((?:\w+/)?\w+)::(\w+)`", SECURITY)

    assert len(named) >= 60
    for path, function in named:
        folder, _, name = path.rpartition("/")
        files = (ROOT / "tests").rglob(f"{folder or '*'}/test_{name}.py")
        defined = re.compile(rf"^def test_{function}\(", re.MULTILINE)
        assert any(defined.search(file.read_text()) for file in files), (path, function)


def test_every_flow_of_the_threat_model_has_its_threats() -> None:
    for flow in (
        "HTTP API",
        "Console",
        "Queues",
        "Ledger and database",
        "Fetching websites",
        "Mail",
        "Model",
    ):
        rows = SECURITY.partition(f"## {flow}\n")[2].partition("\n## ")[0]
        letters = re.findall(r"^\| ([STRIDE]) \| .+ \| `\w.*::\w+` \|$", rows, re.MULTILINE)
        assert len(set(letters)) >= 3, flow
    assert "## Residual risks" in SECURITY


def test_the_threat_model_can_be_read() -> None:
    cells = [cell.strip() for line in SECURITY.splitlines() if line[:1] == "|" for cell in line.split("|")]

    assert len(SECURITY.encode()) <= 10_240
    assert max(map(len, cells)) <= 120
