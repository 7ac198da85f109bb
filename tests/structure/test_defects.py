"""Defects of Mojodex's Flask Background that show in how the bundle is put together."""

import re
import tomllib

from tests import ROOT
from tests.structure.template import functions, resources, template


def test_defect_26_nothing_can_be_called_without_aws_credentials() -> None:
    """It published a port and asked for no authentication. Here queues and schedules start the functions."""
    public = {"AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Lambda::Url"}
    kinds = {resource["Type"] for resource in template()["Resources"].values()}
    events = {e["Type"] for f in functions().values() for e in f.get("Events", {}).values()}

    assert not kinds & public
    assert not any("FunctionUrlConfig" in function for function in functions().values())
    assert events <= {"SQS", "ScheduleV2"}


def test_a_queue_lets_a_service_of_aws_send_only_for_a_resource_of_ours() -> None:
    """Otherwise anybody's rule, in any account, could send to it through that service."""
    policies = resources("AWS::SQS::QueuePolicy")

    assert policies
    for policy in policies.values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert set(statement["Principal"]) == {"Service"}
            assert statement["Action"] == "sqs:SendMessage"
            assert [{"Ref": statement["Resource"]["GetAtt"].removesuffix(".Arn")}] == policy["Queues"]
            ((operator, condition),) = statement["Condition"].items()
            assert operator == "ArnEquals"
            ((key, source),) = condition.items()
            assert key == "aws:SourceArn"
            assert source["GetAtt"].removesuffix(".Arn") in template()["Resources"]


def test_defect_27_every_library_is_locked_by_version_and_hash() -> None:
    """On current releases of its libraries no job completed. The layer holds what the lock file says."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {package["name"]: package for package in lock["package"]}

    wanted = {re.split(r"[><=\[]", requirement)[0] for requirement in project["dependencies"]}
    assert wanted <= set(locked)
    for name in wanted:
        artifacts = locked[name]["wheels"]
        assert artifacts
        assert all(artifact["hash"].startswith("sha256:") for artifact in artifacts)
    assert "--require-hashes" in (ROOT / "shared" / "Makefile").read_text()
    assert resources("AWS::Serverless::LayerVersion")
