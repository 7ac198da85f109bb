"""Compare what two templates deploy, resource by resource and property by property.

Run it from the repository's root, for example against the template of an earlier commit:

    git show 867be93:template.yaml > /tmp/before.yaml
    .venv/bin/python -m tests.structure.compare_templates /tmp/before.yaml template.yaml

Loops are expanded and globals merged beforehand, so only deployed values count, not the notation. A
change that several resources share is printed once, and descriptions are only counted. Rights of roles are
compared separately, because a right can move between a role and a policy beside it. The exit code is 1 if
the second template lacks anything of the first.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.structure.template import expanded

SECTIONS = ("Parameters", "Conditions", "Rules", "Resources", "Outputs")
LONGEST = 110


def differences(path: str, before: Any, after: Any) -> Iterator[str]:
    """Yield one line for each value that was lost, added or changed."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and not {"Ref", "If", "Sub"} & {*before, *after}:
        for name in sorted({*before, *after}):
            here = f"{path}.{name}" if path else name
            if name not in after:
                yield f"- {here} = {_short(before[name])}"
            elif name not in before:
                yield f"+ {here} = {_short(after[name])}"
            else:
                yield from differences(here, before[name], after[name])
    else:
        yield f"~ {path}: {_short(before)} -> {_short(after)}"


def rights(template: dict[str, Any]) -> dict[str, set[str]]:
    """Return the rights of each role, from its own and separate policies, one line an action and target."""
    resources = template["Resources"]
    documents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            documents[name] += [policy["PolicyDocument"] for policy in properties["Policies"]]
        elif resource["Type"] == "AWS::IAM::Policy":
            for role in properties["Roles"]:
                documents[role["Ref"]].append(properties["PolicyDocument"])
    return {
        role: {
            f"{statement['Effect']} {action} on {json.dumps(_target(target))}"
            for document in found
            for statement in map(_target, document["Statement"])
            for action in _listed(statement["Action"])
            for target in _listed(statement["Resource"])
        }
        for role, found in documents.items()
    }


def _target(value: Any) -> Any:
    """Return the value that applies if its condition is true."""
    return value["If"][1] if isinstance(value, dict) and "If" in value else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _kind(value: Any) -> str:
    return f" ({value['Type']})" if isinstance(value, dict) and "Type" in value else ""


def report(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], int]:
    """Describe the differences; return the lines and the number of lost values."""
    lines, lost = [], 0
    for section in SECTIONS:
        old, new = before.get(section, {}), after.get(section, {})
        gone, added = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        lost += len(gone)
        lines.append(
            f"# {section}: {len(old)} before, {len(new)} after, {len(gone)} lost, {len(added)} added"
        )
        lines += [f"- {name}{_kind(old[name])}" for name in gone]
        lines += [f"+ {name}{_kind(new[name])}" for name in added]
        changes = defaultdict(list)
        for name in sorted(set(old) & set(new)):
            for line in differences("", old[name], new[name]):
                path = line.split()[1].rstrip(":")
                if path.endswith("Description"):
                    changes["~ a description"].append(name)
                # Rights are compared below.
                elif path != "Properties.Policies":
                    changes[line].append(name)
        lines += [f"{line}\n    {', '.join(dict.fromkeys(names))}" for line, names in changes.items()]
    old_rights, new_rights = rights(before), rights(after)
    gone = [f"- {role}: {right}" for role, old in old_rights.items() for right in old - new_rights[role]]
    added = [
        f"+ {role}: {right}"
        for role, new in new_rights.items()
        for right in new - old_rights.get(role, set())
    ]
    lines.append(f"# Rights of {len(new_rights)} roles: {len(gone)} lost, {len(added)} added")
    return [*lines, *sorted(gone), *sorted(added)], lost + len(gone)


def main(before: Path, after: Path) -> int:
    """Print the report and return the exit code."""
    lines, lost = report(expanded(before), expanded(after))
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if lost else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.structure.compare_templates BEFORE AFTER")
    sys.exit(main(*map(Path, sys.argv[1:])))
