"""MiniStack, the emulator of AWS, from its own environment in .tools/ministack (the Makefile pins it).

It listens on one port of 127.0.0.1, writes to its directory only, and runs functions as child processes.
"""

import http.client
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

from local.runtime import processes

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".tools" / "ministack" / "bin" / "python"
NAME = "ministack"
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
}


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `endpoint` is the value of AWS_ENDPOINT_URL."""

    endpoint: str


def start(directory: Path, *, environment: Mapping[str, str] = {}) -> Emulator:
    """Start an empty emulator.

    Args:
        directory: for its log, `ministack.log`, and its files.
        environment: further variables for it and every function. They get none of the caller's own.

    Raises:
        StartError: it is not installed (`make setup`), or did not start; the text has the end of its log.
    """
    if not PYTHON.exists():
        raise processes.StartError("MiniStack is not installed: run 'make setup'")
    directory = directory.resolve()
    files = directory / "files"
    files.mkdir(parents=True, exist_ok=True)
    port = processes.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    processes.start(
        # -P: it must not import the modules beside the program.
        [PYTHON, "-P", Path(__file__).with_name("ministack.py")],
        directory=directory,
        name=NAME,
        cwd=files,
        ready=lambda: answers(endpoint),
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(files),
            "TMPDIR": str(files),
            "STATE_DIR": str(files / "state"),
            "S3_DATA_DIR": str(files / "s3"),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # The host of queue URLs. "localhost" may be ::1, where nobody listens.
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Never look for a Docker daemon.
            "DOCKER_HOST": f"unix://{tempfile.gettempdir()}/no-docker.sock",
            **environment,
        },
    )
    return Emulator(endpoint)


def stop(directory: Path) -> None:
    """Stop the emulator and its functions. Do nothing if it is not running."""
    processes.stop(directory, NAME)


def sent_mails(endpoint: str) -> list[dict[str, Any]]:
    """Return the mails that SES accepted, oldest first, with "To", "Subject", "BodyText" and "BodyHtml".

    Raises:
        OSError: the emulator does not answer.
    """
    status, body = _get(endpoint, "/_ministack/ses/messages")
    if status != http.HTTPStatus.OK:
        raise OSError(f"MiniStack answered {status} to the request for its mails")
    return [mail for mails in json.loads(body)["messages"].values() for mail in mails]


def answers(endpoint: str) -> bool:
    """Tell whether an emulator answers at this endpoint."""
    try:
        return _get(endpoint, "/_ministack/health")[0] == http.HTTPStatus.OK
    except OSError:
        return False


def _get(endpoint: str, path: str) -> tuple[int, bytes]:
    # Not urllib, which would use a proxy of the environment.
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# To make one takes a tenth of a second. Threads may share it.
@cache
def client(endpoint: str, service: str, *, tries: int = 1) -> Any:
    """Return a boto3 client for an emulator, or for a proxy in front of it.

    Args:
        endpoint: its URL.
        service: boto3's name of the service.
        tries: attempts at each request. With more than one, an invocation may be repeated unnoticed.
    """
    # Ignore profiles, files and proxies of the caller's environment.
    nothing = (None, None, None, None)
    session = boto3.Session(
        botocore_session=botocore.session.Session(
            session_vars={
                "profile": nothing,
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        ),
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    # Lambda's longest timeout, for an invocation.
    config = Config(proxies={}, read_timeout=900, retries={"mode": "standard", "total_max_attempts": tries})
    # boto3's types only allow services whose stubs are installed.
    make: Any = session.client
    return make(service, endpoint_url=endpoint, config=config)
