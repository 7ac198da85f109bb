"""Build the bundle for this machine, and deploy it to the emulator with `sam`."""

import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.runtime import emulator, processes

ROOT = emulator.ROOT
# `make build` fills .aws-sam/build, for AWS; what runs here is built apart, for this machine's processor.
BUILD_DIRECTORY = ROOT / ".aws-sam" / "local" / "build"
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
STACK_NAME = "mojodex-background"


class StackError(Exception):
    """A step on the way to a running stack failed, or there is none where one is asked for."""


def build() -> None:
    """Build layer and functions for this machine, as `make build-local`; quick when nothing changed.

    Raises:
        StackError: the build failed; it has printed why.
    """
    # Make's own variables would make it a sub-make of whatever started us.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # Workers of pytest-xdist build at the same time, and SAM empties its folder first.
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "build-local"], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise StackError("the build failed")


def deploy(
    directory: Path, endpoint: str, parameters: Mapping[str, str], build: Path = BUILD_DIRECTORY
) -> None:
    """Deploy a build to the emulator, with the parameters that have a value.

    Raises:
        StackError: it failed; the text has the end of sam's log.
    """
    overrides = [f"{name}={value}" for name, value in parameters.items() if value]
    command: Sequence[str | Path] = [
        *(SAM, "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local"),
        *("--stack-name", STACK_NAME, "--region", emulator.REGION),
        *("--template-file", build / "template.yaml"),
        # Without any, those of the last deployment hold.
        *(("--parameter-overrides", *overrides) if overrides else ()),
    ]
    log = directory / "sam-deploy.log"
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                # sam writes into the home folder, and leaves temporary ones behind.
                "HOME": str(directory.resolve()),
                "TMPDIR": str(directory.resolve()),
                "AWS_ENDPOINT_URL": endpoint,
                **emulator.CREDENTIALS,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "SAM_CLI_TELEMETRY": "0",
                # Seconds between two looks at the deployment; AWS needs more, the emulator does not.
                "SAM_CLI_POLL_DELAY": "0.2",
            },
        )
    if done.returncode:
        raise StackError(f"sam deploy failed\n{processes.tail(log)}")
    _number_concurrency(endpoint)


def _number_concurrency(endpoint: str) -> None:
    """Give every MaximumConcurrency anew, as a number.

    A template's parameter is a string, of which CloudFormation makes a number; MiniStack 1.5.33 does not, and
    its poller then fails on the comparison ("'>=' not supported") and delivers nothing.
    """
    functions = emulator.client(endpoint, "lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        if limits := mapping.get("ScalingConfig"):
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=limits)
