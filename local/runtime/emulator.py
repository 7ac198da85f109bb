"""MiniStack, the emulator of AWS, from its own environment in .tools/ministack (the Makefile pins it).

It listens on one port of 127.0.0.1, keeps what it writes in its directory, and runs functions as children.
"""

import http.client
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
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
    """A running emulator; `endpoint` is what AWS_ENDPOINT_URL wants."""

    endpoint: str


def start(directory: Path, *, environment: Mapping[str, str] = {}) -> Emulator:
    """Start an emulator that knows nothing yet.

    Args:
        directory: for its log, `ministack.log`, and its files.
        environment: variables that it and every function get, besides what they need. They see nothing of the
            caller's own environment.

    Raises:
        StartError: it is not installed (`make setup`), or did not come up; the text has the end of its log.
    """
    if not PYTHON.exists():
        raise processes.StartError("MiniStack is not installed: run 'make setup'")
    directory = directory.resolve()
    files = directory / "files"
    files.mkdir(parents=True, exist_ok=True)
    port = processes.free_port()
    processes.start(
        # -P: what lies beside the program is not for it to import.
        [PYTHON, "-P", Path(__file__).with_name("ministack.py")],
        directory=directory,
        name=NAME,
        cwd=files,
        ready=lambda: _healthy(port),
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
            # What queue URLs are made of; "localhost" may be ::1, where nobody listens.
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Never look for a Docker daemon.
            "DOCKER_HOST": f"unix://{tempfile.gettempdir()}/no-docker.sock",
            **environment,
        },
    )
    return Emulator(f"http://127.0.0.1:{port}")


def stop(directory: Path) -> None:
    """Stop the emulator and its functions. Does nothing when it does not run."""
    processes.stop(directory, NAME)


def sent_mails(endpoint: str) -> list[dict[str, Any]]:
    """Return the mails that SES has taken, oldest first, with "To", "Subject", "BodyText" and "BodyHtml".

    Raises:
        OSError: the emulator does not answer.
    """
    status, body = _get(endpoint, "/_ministack/ses/messages")
    if status != http.HTTPStatus.OK:
        raise OSError(f"MiniStack answers {status} when asked for its mails")
    return [mail for mails in json.loads(body)["messages"].values() for mail in mails]


def _healthy(port: int) -> bool:
    try:
        return _get(f"http://127.0.0.1:{port}", "/_ministack/health")[0] == http.HTTPStatus.OK
    except OSError:
        return False


def _get(endpoint: str, path: str) -> tuple[int, bytes]:
    # http.client and not urllib, which would ask a proxy of the environment.
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def client(endpoint: str, service: str, *, tries: int = 1) -> Any:
    """Make a boto3 client of the emulator at an endpoint, or of a proxy in front of it.

    Args:
        endpoint: where it is.
        service: as boto3 calls it.
        tries: of each request. An invocation must not be repeated behind the caller's back.
    """
    # Neither a profile nor a proxy of the caller's environment counts.
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
    # An invocation may take as long as Lambda lets it.
    config = Config(proxies={}, read_timeout=900, retries={"mode": "standard", "total_max_attempts": tries})
    # Typed for services whose stubs are installed only.
    make: Any = session.client
    return make(service, endpoint_url=endpoint, config=config)
