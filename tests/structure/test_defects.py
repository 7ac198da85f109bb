"""Defects of Mojodex's Flask Background that show in how the bundle is put together."""

import re
import tomllib

from tests import ROOT
from tests.structure.template import functions, resources, template


def test_defect_26_nothing_can_be_called_without_aws_credentials() -> None:
    """It published a port and asked for no authentication. Here queues and schedules start the functions."""
    public = {"AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Lambda::Url", "AWS::SQS::QueuePolicy"}
    kinds = {resource["Type"] for resource in template()["Resources"].values()}
    events = {e["Type"] for f in functions().values() for e in f.get("Events", {}).values()}

    assert not kinds & public
    assert not any("FunctionUrlConfig" in function for function in functions().values())
    assert events <= {"SQS", "ScheduleV2"}


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
