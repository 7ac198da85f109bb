"""Build the bundle for this machine, and deploy it to the emulator with `sam`."""

import fcntl
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from local.runtime import emulator, processes

ROOT = emulator.ROOT
# Not .aws-sam/build, which `make build` fills for AWS: this build is for this machine's processor.
BUILD_DIRECTORY = ROOT / ".aws-sam" / "local" / "build"
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
STACK_NAME = "mojodex-background"


class StackError(Exception):
    """A step towards a running stack failed, or no stack is running."""


def build() -> None:
    """Build layer and functions for this machine with `make build-local`. Quick if nothing changed.

    Raises:
        StackError: the build failed, and has printed the reason.
    """
    # With Make's own variables, it would be a sub-make of the caller's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # Workers of pytest-xdist may build at the same time, and SAM first empties its folder.
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "build-local"], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise StackError("the build failed")


def deploy(
    directory: Path, endpoint: str, parameters: Mapping[str, str], build: Path = BUILD_DIRECTORY
) -> None:
    """Deploy a build to the emulator. Parameters that are not given keep the last deployment's values.

    Raises:
        StackError: there is no such parameter, or it failed; the text has the end of sam's log.
    """
    # sam ignores unknown names.
    known = yaml.safe_load((build / "template.yaml").read_text())["Parameters"]
    if unknown := sorted(parameters.keys() - known):
        raise StackError(f"there is no parameter {', '.join(unknown)}: docs/settings.md lists all")
    # In a file, because sam cuts a value of the command line at its first space.
    overrides = directory.resolve() / "parameters.yaml"
    overrides.write_text(json.dumps(dict(parameters)))
    command: Sequence[str | Path] = [
        *(SAM, "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local"),
        *("--stack-name", STACK_NAME, "--region", emulator.REGION),
        *("--template-file", build / "template.yaml"),
        *("--parameter-overrides", f"file://{overrides}"),
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
                # sam writes into the home folder, and leaves temporary folders behind.
                "HOME": str(directory.resolve()),
                "TMPDIR": str(directory.resolve()),
                "AWS_ENDPOINT_URL": endpoint,
                **emulator.CREDENTIALS,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "SAM_CLI_TELEMETRY": "0",
                # Seconds between two checks of the deployment. The emulator is quick.
                "SAM_CLI_POLL_DELAY": "0.2",
            },
        )
    if done.returncode:
        raise StackError(f"sam deploy failed\n{processes.tail(log)}")
    _number_concurrency(endpoint)


def _number_concurrency(endpoint: str) -> None:
    """Set every MaximumConcurrency again, as a number.

    A template's parameter is a string. CloudFormation converts it, but MiniStack 1.5.33 does not. Its poller
    then fails on a comparison ("'>=' not supported") and delivers nothing.
    """
    functions = emulator.client(endpoint, "lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        if limits := mapping.get("ScalingConfig"):
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=limits)
