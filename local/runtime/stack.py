"""The whole bundle on this machine: Postgres, the emulator of AWS, a language model, the deployed template.

Nothing here reads or changes the AWS account, profile or credentials of the caller.
"""

import http.client
import json
import os
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

from local.runtime import deploy, emulator, model, postgres, processes
from local.runtime.deploy import StackError
from local.runtime.postgres import Database

ROOT = emulator.ROOT
MODEL_SERVER = "model-server"
# Sender and links of the mails. Nobody owns the domain "example" (RFC 2606).
MAIL_PARAMETERS = {
    "EmailSender": "mojo@mojodex.example",
    "MojodexWebappUri": "https://app.mojodex.example",
}
# Prefixes of a process's resources and parameters in the template.
PREFIXES = {
    "extract_todos": "ExtractTodos",
    "reschedule_todo": "RescheduleTodo",
    "events": "Events",
    "create_from_website": "CreateFromWebsite",
    "ingest_page": "IngestPage",
    "update_document": "UpdateDocument",
    "mail_feedback": "MailFeedback",
}
# The credentials of a local stack's API, and their rights.
RIGHTS = {"operator": ["publish", "read", "read-content", "operate"], "backend": ["publish"]}
SECONDS_TO_UPDATE = 30
# Variables that a function needs to reach a real model through a proxy.
NETWORK_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)


class SentMail(NamedTuple):
    """A mail that SES accepted."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        endpoint: value of AWS_ENDPOINT_URL.
        database: the Mojodex database, migrated.
        model: "offline" for the stand-in of this repository, else the model's URL, or "OpenAI".
        outputs: of the template.
        model_url: of the model's API; None for OpenAI's own.
        credentials: secrets of the API by name. "operator" has all rights, "backend" may publish.
    """

    endpoint: str
    database: Database
    model: str
    outputs: dict[str, str]
    model_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)

    @property
    def operate_url(self) -> str:
        """The URL of the API, without a slash at its end; empty without OperateApi."""
        return self.outputs.get("OperateUrl", "")

    @property
    def backend_uri(self) -> str:
        """The setting BACKGROUND_BACKEND_URI of a Mojodex backend."""
        return self.operate_url.replace("://", f"://backend:{self.credentials['backend']}@")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load the stack that `up` started in a directory.

        Raises:
            StackError: no stack is running, or its emulator does not answer.
        """
        try:
            state = json.loads((directory / "state.json").read_text())
        except FileNotFoundError:
            raise StackError("no stack is running: start one with 'make up'") from None
        if not emulator.answers(state["endpoint"]):
            raise StackError("the emulator does not answer any more: run 'make down', then 'make up'")
        return cls(**{**state, "database": Database(**state["database"])})

    def client(self, service: str) -> Any:
        """Return a boto3 client for a service of the emulator."""
        return emulator.client(self.endpoint, service)

    def deploy(self, directory: Path, build: Path) -> None:
        """Deploy another build over this one, with the same parameters.

        Running workers of changed functions are killed, which AWS does not do. Schedules fire again, and
        changes by `set_environment` may be lost.

        Args:
            directory: of this stack.
            build: a folder that `sam build` made.

        Raises:
            StackError: the deployment failed.
        """
        deploy.deploy(directory, self.endpoint, {}, build)

    def environment(self) -> dict[str, str]:
        """Return the variables with which the AWS CLI, boto3, psql and curl reach this stack."""
        database = self.database
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **emulator.CREDENTIALS,
            "DATABASE_URL": f"postgresql://{database.username}:{quote(database.password, safe='')}"
            f"@{database.host}:{database.port}/{database.dbname}",
            **{
                f"{process.upper()}_QUEUE_URL": self.outputs[f"{prefix}QueueUrl"]
                for process, prefix in PREFIXES.items()
            },
            "OPERATE_URL": self.operate_url,
            "OPERATE_CREDENTIALS": f"operator:{self.credentials['operator']}",
            "BACKGROUND_BACKEND_URI": self.backend_uri,
        }

    def function_name(self, logical_id: str) -> str:
        """Return the name of a function by its logical id, for example "MigrateFunction".

        Raises:
            StackError: the template has no such function.
        """
        names = self._function_names()
        if logical_id not in names:
            raise StackError(f"no function {logical_id}; there are {', '.join(sorted(names))}")
        return names[logical_id]

    def _function_names(self) -> dict[str, str]:
        """Return the name of every function, by its logical id."""
        resources = self.client("cloudformation").describe_stack_resources(StackName=deploy.STACK_NAME)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }

    def set_environment(self, logical_id: str, **variables: str) -> None:
        """Change variables of a function. Its next invocation is a cold start with them.

        Raises:
            StackError: there is no such function, or the change failed.
        """
        self._set_environment([self.function_name(logical_id)], variables)

    def set_clock(self, moment: datetime) -> None:
        """Set the clock of all functions to a moment (aware). It runs on from there.

        Postgres and queues keep theirs. This kills running workers, so none should be busy.

        Raises:
            StackError: the change failed.
        """
        offset = (moment - datetime.now(UTC)).total_seconds()
        self._set_environment(list(self._function_names().values()), {"CLOCK_OFFSET_SECONDS": str(offset)})

    def _set_environment(self, names: Sequence[str], variables: Mapping[str, str]) -> None:
        functions = self.client("lambda")
        for name in names:
            present = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**present, **variables}}
            )
        deadline = time.monotonic() + SECONDS_TO_UPDATE
        for name in names:
            while functions.get_function_configuration(FunctionName=name)["LastUpdateStatus"] != "Successful":
                if time.monotonic() > deadline:
                    raise StackError(f"{name} has no new environment after {SECONDS_TO_UPDATE} s")
                time.sleep(0.1)

    def open_loopback(self) -> None:
        """Let the document workers fetch from loopback, for a website on this machine.

        This kills running workers, so none should be busy.

        Raises:
            StackError: the change failed.
        """
        for worker in ("CreateFromWebsiteWorkerFunction", "UpdateDocumentWorkerFunction"):
            self.set_environment(worker, FETCH_LOOPBACK="true")

    def publish(self, queue: str, message: dict[str, Any]) -> str:
        """Send a message as Mojodex's backend does, and return its id.

        `queue` is the output that has the queue's URL.
        """
        group = {"MessageGroupId": str(message["user_id"])} if "user_id" in message else {}
        answer = self.client("sqs").send_message(
            QueueUrl=self.outputs[queue], MessageBody=json.dumps(message), **group
        )
        return str(answer["MessageId"])

    def model_calls(self) -> dict[str, int]:
        """Return the stand-in's counts: completions, embeddings, texts_embedded.

        Raises:
            StackError: the model is not the stand-in.
        """
        return dict(self._ask_stand_in("/stats"))

    def prompts(self) -> dict[str, str]:
        """Return the stand-in's first prompt of each kind, by the name of its answer's schema.

        Raises:
            StackError: the model is not the stand-in.
        """
        return dict(self._ask_stand_in("/prompts"))

    def _ask_stand_in(self, path: str) -> Any:
        if self.model != model.OFFLINE or self.model_url is None:
            raise StackError(f"only the stand-in answers {path}, and the model is {self.model}")
        address = urlsplit(self.model_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop_schedules(self) -> None:
        """Disable all schedules, so that only `invoke` runs their functions."""
        scheduler = self.client("scheduler")
        for listed in scheduler.list_schedules()["Schedules"]:
            schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
            kept = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
            scheduler.update_schedule(**{name: schedule[name] for name in kept}, State="DISABLED")

    def mails(self) -> list[SentMail]:
        """Return the mails that SES accepted, oldest first."""
        return [
            SentMail(tuple(mail["To"]), mail["Subject"], mail["BodyText"], mail["BodyHtml"] or "")
            for mail in emulator.sent_mails(self.endpoint)
        ]

    def invoke(self, logical_id: str, event: Any = None) -> tuple[Any, bool]:
        """Invoke a function of the template, and wait for its answer.

        Returns:
            Its answer, and whether it succeeded; if not, the answer describes the error.
        """
        answer = self.client("lambda").invoke(
            FunctionName=self.function_name(logical_id), Payload=json.dumps({} if event is None else event)
        )
        return json.load(answer["Payload"]), "FunctionError" not in answer

    def logs(self, logical_id: str, since: float = 0) -> list[str]:
        """Return the log lines of a function since a moment (seconds since 1970), oldest first.

        The lines of an invocation appear when it has ended.
        """
        logs = self.client("logs")
        function = self.client("lambda").get_function_configuration(
            FunctionName=self.function_name(logical_id)
        )
        group = function.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function['FunctionName']}")
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since * 1000)
        )
        try:
            events = [event for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [str(event["message"]).rstrip() for event in sorted(events, key=lambda e: e["timestamp"])]


def up(
    directory: Path, *, parameters: Mapping[str, str] = {}, say: Callable[[str], None] = lambda _: None
) -> Stack:
    """Start everything, deploy the built template and migrate the database.

    The model is that of the parameter LlmBaseUrl, else that of the environment (see `model`), else the
    stand-in of this repository.

    Args:
        directory: for state, logs and data. `down` stops the stack and removes the directory.
        parameters: of the template. They override those that this function sets.
        say: called with the name of each step.

    Raises:
        StackError, StartError: a step failed. Everything that was started is stopped.
    """
    if is_running(directory):
        raise StackError("a stack is already running: stop it with 'make down'")
    if not (deploy.BUILD_DIRECTORY / "template.yaml").exists():
        raise StackError("nothing is built: run 'make build-local'")
    directory.mkdir(parents=True, exist_ok=True)
    try:
        say("PostgreSQL with the Mojodex tables")
        database = postgres.start(directory)
        postgres.run_sql_file(database, postgres.MOJODEX_SCHEMA)

        name, settings, network = _model(directory, parameters)
        say(f"language model: {name}")

        say("MiniStack, the emulator of AWS")
        endpoint = emulator.start(directory, environment=network).endpoint
        secret_manager = emulator.client(endpoint, "secretsmanager")
        operate = {name: secrets.token_urlsafe(24) for name in RIGHTS}
        arns = {
            parameter: secret_manager.create_secret(Name=secret, SecretString=json.dumps(value))["ARN"]
            for parameter, secret, value in (
                ("DatabaseSecretArn", "mojodex/database", database.secret()),
                ("LlmSecretArn", "mojodex/llm", {"api_key": model.api_key()}),
                ("UnsubscribeSecretArn", "mojodex/unsubscribe", {"signing_key": secrets.token_hex()}),
                ("OperateSecretArn", "mojodex/operate", _credentials(operate)),
            )
        }

        architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        parameters = {
            "Architecture": architecture,
            "OperateApi": "on",
            **arns,
            **MAIL_PARAMETERS,
            **settings,
            **parameters,
        }
        stack = Stack(endpoint, database, name, {}, parameters.get("LlmBaseUrl"), operate)
        return _deploy(stack, directory, parameters, say)
    except BaseException:
        down(directory)
        raise


def is_running(directory: Path) -> bool:
    """Tell whether `up` started a stack in a directory, and `down` did not stop it."""
    return (directory / "state.json").exists()


def update(
    directory: Path, *, parameters: Mapping[str, str] = {}, say: Callable[[str], None] = lambda _: None
) -> Stack:
    """Deploy the built template over the running stack, and migrate the database. Data and model stay.

    Args:
        directory: as `up`.
        parameters: those to change. The others keep their values.
        say: as `up`.

    Raises:
        StackError: as `Stack.load`, or a step failed.
    """
    stack = Stack.load(directory)
    say(f"language model: {stack.model}, as before")
    if url := parameters.get("LlmBaseUrl"):
        stack = replace(stack, model=url, model_url=url)
    return _deploy(stack, directory, parameters, say)


def _deploy(
    stack: Stack, directory: Path, parameters: Mapping[str, str], say: Callable[[str], None]
) -> Stack:
    """Deploy the built template, migrate the database, and save and return the stack with its outputs."""
    say("sam deploy of template.yaml")
    deploy.deploy(directory, stack.endpoint, parameters)
    if sender := parameters.get("EmailSender"):
        # MiniStack verifies it at once, and has no sandbox by default.
        stack.client("sesv2").create_email_identity(EmailIdentity=sender)
    described = stack.client("cloudformation").describe_stacks(StackName=deploy.STACK_NAME)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    if "OperateUrl" in outputs:
        # The API's own host name does not resolve here.
        api = (urlsplit(outputs["OperateUrl"]).hostname or "").partition(".")[0]
        outputs["OperateUrl"] = f"{stack.endpoint}/_aws/execute-api/{api}"
    stack = replace(stack, outputs=outputs)
    stack.set_environment("EventsWorkerFunction", OPERATE_URL=stack.operate_url)

    say("migration of the database")
    answer, succeeded = stack.invoke("MigrateFunction")
    if not succeeded:
        logs = "\n".join(stack.logs("MigrateFunction")[-20:])
        raise StackError(f"MigrateFunction failed: {answer}\n{logs}")
    state = directory / "state.json"
    # It has passwords.
    state.touch(mode=0o600)
    state.write_text(json.dumps(asdict(stack)))
    return stack


def down(directory: Path) -> None:
    """Stop what `up` started in a directory, and remove the directory. Do nothing if there is none."""
    emulator.stop(directory)
    processes.stop(directory, MODEL_SERVER)
    postgres.stop(directory)
    shutil.rmtree(directory, ignore_errors=True)


def complaints(directory: Path) -> list[str]:
    """Return the emulator's last warnings and errors, such as a failed import."""
    log = (directory / f"{emulator.NAME}.log").read_text(errors="replace")
    # Repeated lines only differ in their date and time.
    lines = [line for line in log.splitlines() if " ERROR " in line or " WARNING " in line]
    return list({line.split(" ", 2)[-1]: line for line in lines}.values())[-10:]


def _credentials(operate: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of the API's secret."""
    return {
        "session_keys": [secrets.token_hex()],
        "credentials": {name: {"secret": secret, "rights": RIGHTS[name]} for name, secret in operate.items()},
    }


def _model(directory: Path, parameters: Mapping[str, str]) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the model's name, its parameters of the template, and its variables of the functions."""
    network = {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}
    if url := parameters.get("LlmBaseUrl"):
        return url, {}, network
    if found := model.from_environment():
        settings = {
            "LlmBaseUrl": found.base_url,
            "LlmModels": found.models,
            "EmbeddingModel": found.embedding_model,
        }
        return found.name, {name: value for name, value in settings.items() if value}, network
    return model.OFFLINE, {"LlmBaseUrl": f"http://127.0.0.1:{_start_model_server(directory)}/v1"}, {}


def _start_model_server(directory: Path) -> int:
    """Start the stand-in for a language model, and return its port."""
    log = directory / f"{MODEL_SERVER}.log"

    def port() -> int | None:
        # It prints {"port": …} once it listens.
        for line in log.read_text().splitlines():
            if line.startswith('{"port"'):
                return int(json.loads(line)["port"])
        return None

    processes.start(
        [sys.executable, "-m", "local.standin.model_server", "--port", "0"],
        directory=directory,
        name=MODEL_SERVER,
        cwd=ROOT,
        environment=os.environ,
        ready=lambda: port() is not None,
    )
    found = port()
    if found is None:
        raise StackError("the model server has printed no port")
    return found
