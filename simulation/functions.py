"""The bundle's handlers, each imported with the environment variables that the template gives it."""

import importlib
import os
from types import ModuleType
from typing import Any

from simulation.deployment import Deployment
from simulation.lambdas import Handler

# Variables that the Lambda runtime sets.
RUNTIME_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "simulated",
    "AWS_SECRET_ACCESS_KEY": "simulated",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
UNWANTED = ("AWS_PROFILE", "AWS_ENDPOINT_URL", "CLOCK_OFFSET_SECONDS", "OPENAI_API_KEY", "OPENAI_BASE_URL")


def import_handlers(deployment: Deployment) -> dict[str, ModuleType]:
    """Import the module of each function's handler, by logical id. Call it once per process."""
    modules = {}
    os.environ |= RUNTIME_ENVIRONMENT
    for name in UNWANTED:
        os.environ.pop(name, None)
    before = dict(os.environ)
    for function in deployment.functions.values():
        os.environ.update(function.environment)
        modules[function.name] = importlib.import_module(function.handler.rpartition(".")[0])
        for name in function.environment.keys() - before.keys():
            del os.environ[name]
    return modules


def handlers(deployment: Deployment, modules: dict[str, ModuleType]) -> dict[str, Handler]:
    """Return each function's handler."""
    found: dict[str, Any] = {}
    for function in deployment.functions.values():
        found[function.name] = getattr(modules[function.name], function.handler.rpartition(".")[2])
    return found
