"""All downloads are locked: the tools with their dependencies, and GitHub's actions."""

import re
from pathlib import Path

import pytest
import yaml

from tests import ROOT

TOOLS = sorted((ROOT / "tools").glob("*.in"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.stem)
def test_a_tool_is_locked_with_hashes_and_names_no_index(tool: Path) -> None:
    lock = tool.with_suffix(".txt").read_text()
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    entries = re.split(r"\n(?=\S)", "\n".join(lines))

    assert all(re.match(r"[\w.-]+(\[\w+\])?==\S+ .*--hash=sha256:\w{64}", e, re.DOTALL) for e in entries)
    assert "://" not in lock
    for name, version in re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", tool.read_text(), re.MULTILINE):
        assert re.search(rf"^{name}(\[\w+\])?=={re.escape(version)} ", lock, re.MULTILINE)


def test_make_lock_renews_every_lock() -> None:
    (named,) = re.findall(r"^TOOLS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert sorted(named.split()) == [tool.stem for tool in TOOLS]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_pins_its_actions_may_only_read_and_has_a_timeout(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    uses = [step["uses"] for job in content["jobs"].values() for step in job["steps"] if "uses" in step]

    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in uses)
    assert content["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] for job in content["jobs"].values())
