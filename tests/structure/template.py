"""`template.yaml` as plain data: `!Ref X` reads as {"Ref": "X"}, every `!Tag value` as {"Tag": value}."""

from functools import cache
from typing import Any

import yaml

from tests import ROOT


class _Loader(yaml.SafeLoader):
    """A loader that knows CloudFormation's tags."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


_Loader.add_multi_constructor("!", _tag)


@cache
def template() -> dict[str, Any]:
    """The whole template."""
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return loaded


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties of each resource of one type, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Properties of each function, the global ones included, by logical id."""
    common = template()["Globals"]["Function"]
    merged = {}
    for name, own in resources("AWS::Serverless::Function").items():
        variables = common["Environment"]["Variables"] | own.get("Environment", {}).get("Variables", {})
        logging = common["LoggingConfig"] | own.get("LoggingConfig", {})
        merged[name] = common | own | {"Environment": {"Variables": variables}, "LoggingConfig": logging}
    return merged


def sqs_sources() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each function that a queue feeds: its logical id, its properties, and those of the event source."""
    return [
        (name, function, event["Properties"])
        for name, function in functions().items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]
