"""Defects of Mojodex's Flask Background that concern the bundle's template and build."""

import re
import tomllib

from tests import ROOT
from tests.structure.template import deployed, functions, resources, template

# Resources that can be called, or let others call, other than through the account's queues and schedules.
PUBLIC = (
    *("AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::ApiGateway::", "AWS::ApiGatewayV2::"),
    *("AWS::Lambda::Url", "AWS::Lambda::Permission", "AWS::CloudFront::"),
    *("AWS::AppSync::", "AWS::ElasticLoadBalancing", "AWS::S3::", "AWS::SecretsManager::ResourcePolicy"),
)
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:operate-AbCdEf"


def public(**parameters: str) -> dict[str, str]:
    """Return the public resources of a deployment with their types."""
    found = {name: resource["Type"] for name, resource in deployed(**parameters).items()}
    return {name: kind for name, kind in found.items() if kind.startswith(PUBLIC)}


def test_defect_26_nothing_can_be_called_without_aws_credentials() -> None:
    """It published a port without authentication. Here queues and schedules start the functions."""
    events = {e["Type"] for f in functions().values() for e in f.get("Events", {}).values()}

    assert template()["Parameters"]["OperateApi"]["Default"] == "off"
    assert public() == {}
    assert not any("FunctionUrlConfig" in function for function in functions().values())
    assert events <= {"SQS", "ScheduleV2"}
    # The API's function and role do not exist, either.
    assert not {name for name in deployed() if name.startswith("Operate")}


def test_only_the_http_api_is_public_and_only_if_switched_on() -> None:
    assert public(OperateApi="on") == public(OperateSecretArn=SECRET) == {}

    found = public(OperateApi="on", OperateSecretArn=SECRET)
    assert sorted(found.values()) == [
        *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route"),
        *("AWS::ApiGatewayV2::Stage", "AWS::Lambda::Permission"),
    ]
    (permission,) = resources("AWS::Lambda::Permission").values()
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert "${OperateHttpApi}" in str(permission["SourceArn"])
    assert permission["FunctionName"] == {"Ref": "OperateFunction"}


def test_the_http_api_limits_requests_logs_no_addresses_and_answers_no_other_website() -> None:
    (api,), (stage,) = (
        resources("AWS::ApiGatewayV2::Api").values(),
        resources("AWS::ApiGatewayV2::Stage").values(),
    )

    assert "CorsConfiguration" not in api
    limits = stage["DefaultRouteSettings"]
    assert 0 < limits["ThrottlingRateLimit"] <= 50
    assert 0 < limits["ThrottlingBurstLimit"] <= 50
    # Logged addresses would contain user ids.
    assert "AccessLogSettings" not in stage


def test_no_function_logs_whole_requests() -> None:
    for function in (*functions().values(), template()["Globals"]["Function"]):
        variables = function.get("Environment", {}).get("Variables", {})
        assert not {"POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEV", "POWERTOOLS_DEBUG", "DEBUG"} & set(
            variables
        )


def test_a_queue_accepts_an_aws_service_only_for_a_resource_of_ours() -> None:
    """Otherwise a rule in any AWS account could send to the queue through that service."""
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
    """With current releases of its libraries, no job completed. The layer has the locked versions."""
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
