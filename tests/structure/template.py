"""`template.yaml` as plain data, with its loops expanded and SAM's globals merged into each function.

`!Ref X` reads as {"Ref": "X"}, `!GetAtt X.Arn` as {"GetAtt": "X.Arn"}, every other `!Tag value` as
{"Tag": value}.
"""

from functools import cache
from pathlib import Path
from typing import Any

from cfnlint.decode import decode
from cfnlint.template import Template

from tests import ROOT


def expanded(path: Path) -> dict[str, Any]:
    """Expand one template as AWS::LanguageExtensions does.

    Raises:
        ValueError: the text is not a template, or one of its loops cannot be expanded.
    """
    loaded, problems = decode(str(path))
    if problems:
        raise ValueError(f"{path}: {problems}")
    template = Template(str(path), loaded, ["us-east-1"])
    if problems := template.transform():
        raise ValueError(f"{path}: {problems}")
    plain: dict[str, Any] = _plain(template.template)
    return plain


def _plain(value: Any) -> Any:
    """Drop cfn-lint's own types, and the prefix of intrinsic functions."""
    if isinstance(value, dict):
        if set(value) == {"Fn::GetAtt"} and isinstance(value["Fn::GetAtt"], list):
            return {"GetAtt": ".".join(value["Fn::GetAtt"])}
        return {str(name).removeprefix("Fn::"): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # cfn-lint's strings have a position in the file.
    return str(value) if isinstance(value, str) else value


@cache
def template() -> dict[str, Any]:
    """The whole template."""
    return expanded(ROOT / "template.yaml")


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties of each resource of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Properties of each function, the global ones included, by logical id."""
    return resources("AWS::Serverless::Function")


def sqs_sources() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Logical id, properties and event source of each function that a queue feeds."""
    return [
        (name, function, event["Properties"])
        for name, function in functions().items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]


def deployed(**parameters: str) -> dict[str, dict[str, Any]]:
    """Return the resources of a deployment with these parameters and defaults for all others.

    Raises:
        ValueError: a condition has an unknown form.
    """
    given = {name: str(parameter.get("Default", "")) for name, parameter in template()["Parameters"].items()}
    given |= parameters
    conditions = template()["Conditions"]

    def value(of: Any) -> Any:
        match of:
            case {"Ref": name}:
                return given[name]
            case {"Join": [separator, {"Ref": name}]}:
                return separator.join(given[name].split(","))
            case {"Equals": [one, other]}:
                return value(one) == value(other)
            case {"Not": [one]}:
                return not value(one)
            case {"And": several}:
                return all(map(value, several))
            case {"Or": several}:
                return any(map(value, several))
            case {"Condition": name}:
                return value(conditions[name])
            case str():
                return of
        raise ValueError(f"condition: {of}")

    return {
        name: resource
        for name, resource in template()["Resources"].items()
        if "Condition" not in resource or value(conditions[resource["Condition"]])
    }
