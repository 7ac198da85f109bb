"""Run the bundle on this machine. The Makefile's targets call it."""

import argparse
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from local import demo
from local.runtime import model, redrive, stack, terminal, website
from local.runtime.deploy import StackError
from local.runtime.processes import StartError

DIRECTORY = stack.ROOT / ".local" / "stack"
PREVIEW = stack.ROOT / ".local" / "preview-email"
SHOWS_WORDING = (
    "wording.py: the files …-without-model have all their words from it; the others only headings, links and"
    " notes."
)
SHOWS_PROMPT_ONLINE = "todo_daily_emails.mpt: your model follows it in the files without that ending."
SHOWS_PROMPT = (
    "todo_daily_emails.mpt: no file shows a change of its instructions, because the stand-in does not follow"
    " them. `make demo` writes the filled-in prompt to .local/demo/prompts/DailyEmail.txt. To see what a"
    " model makes of it, set OPENAI_API_KEY or OPENAI_BASE_URL and run this again."
)
# For the functions' code when it runs in this process: AWS is mocked, logs are off, metrics are not shown.
IN_PROCESS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_METRICS_NAMESPACE": "preview",
    "POWERTOOLS_SERVICE_NAME": "preview",
}


def main() -> int:
    """Run one command and return the exit code."""
    arguments = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    try:
        succeeded: bool = arguments.run(arguments)
    except (StackError, StartError, demo.DemoError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0 if succeeded else 1


def _exit(number: int, _frame: FrameType | None) -> None:
    """Exit through the code that stops everything, and ignore further signals."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start everything, or deploy the new build to what runs")
    up.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="a parameter of template.yaml")
    up.set_defaults(run=_up)

    seed = commands.add_parser("seed", help="fill the database of `up` with the demo's account")
    seed.set_defaults(run=_seed)

    down = commands.add_parser("down", help="stop what `up` started, and remove its data")
    down.set_defaults(run=_down)

    show = commands.add_parser("demo", help="start a stack beside that of `up`, show it at work, and stop it")
    show.set_defaults(run=_demo)

    preview = commands.add_parser("preview", help="write the e-mails of the demo's account to files")
    preview.add_argument("directory", nargs="?", type=Path, metavar="DIRECTORY", default=PREVIEW)
    preview.set_defaults(run=_preview)

    environment = commands.add_parser("env", help="print the variables for using the stack of `up`")
    environment.add_argument("name", nargs="?", metavar="NAME", help="print only the value of this variable")
    environment.set_defaults(run=_env)

    publish = commands.add_parser("publish", help="send a message to a queue of `up`")
    publish.add_argument("process", nargs="?", default="", metavar="PROCESS", help="its name in the ledger")
    publish.add_argument("message", nargs="?", default="", metavar="MESSAGE", help="a JSON object")
    publish.set_defaults(run=_publish)

    ingest = commands.add_parser("ingest", help="turn a website into documents, on the stack of `up`")
    ingest.add_argument("url", nargs="?", default="", metavar="URL", help="first page of the website")
    ingest.add_argument("--user", default="", metavar="USER_ID", help="their owner (default: local)")
    ingest.set_defaults(run=_ingest)

    invoke = commands.add_parser("invoke", help="invoke a function, and print its answer and its log")
    invoke.add_argument("function", metavar="FUNCTION", help="its name in template.yaml")
    invoke.add_argument("event", nargs="?", type=Path, metavar="EVENT.json", help="the event (default: {})")
    invoke.set_defaults(run=_invoke)

    move = commands.add_parser("redrive", help="move the dead letters of a process back to its queue")
    move.add_argument("process", nargs="?", default="", metavar="PROCESS", help="its name in the ledger")
    move.add_argument("--stack-name", default="", metavar="NAME", help="a stack in your AWS account")
    move.set_defaults(run=_redrive)

    logs = commands.add_parser("logs", help="print the log of a function")
    logs.add_argument("function", metavar="FUNCTION", help="its name in template.yaml")
    logs.set_defaults(run=_logs)
    return parser


def _up(arguments: argparse.Namespace) -> bool:
    parameters = dict(_parameter(text) for text in arguments.parameters)
    first = not stack.is_running(DIRECTORY)
    start = stack.up if first else stack.update
    running = start(DIRECTORY, parameters=parameters, say=lambda step: print(f"  {step}", flush=True))
    if first and running.model == model.OFFLINE:
        print()
        terminal.paragraph(demo.STAND_IN, indent="")
    print("\nOutputs of the template:\n")
    for name, value in running.outputs.items():
        print(f"  {name:<35} {value}")
    print('\nVariables for a shell. To set them: eval "$(.venv/bin/python -m local env)"\n')
    _print_environment(running)
    if running.operate_url:
        print(f"\nThe console. Sign in as operator with the secret {running.credentials['operator']}\n")
        print(f"  {running.operate_url}/console")
    print("\nIt runs until `make down`. `make up` deploys changes, `make seed` adds an account to try with.")
    return True


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise StackError(f'{text} has no value: write make up PARAMETERS="NAME=VALUE …"')
    return name, value


def _seed(_arguments: argparse.Namespace) -> bool:
    demo.fill(stack.Stack.load(DIRECTORY))
    return True


def _down(_arguments: argparse.Namespace) -> bool:
    stack.down(DIRECTORY)
    return True


def _demo(_arguments: argparse.Namespace) -> bool:
    demo.run()
    return True


def _preview(arguments: argparse.Namespace) -> bool:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)
    os.environ |= IN_PROCESS
    sys.path[:0] = [str(stack.ROOT / name) for name in ("functions", "shared")]
    # Imported here, because it needs the path above.
    from local.demo import preview

    mails = preview.run(arguments.directory)
    terminal.table(
        [
            ("file", "to", "subject", "wording"),
            *(
                (mail.stem.name, mail.address, mail.subject, "model" if mail.worded_by_model else "built in")
                for mail in mails
            ),
        ]
    )
    print(f"\n  {_relative(arguments.directory)} has each as .html, .txt and .eml (with all headers)\n")
    terminal.paragraph(SHOWS_WORDING, following="    ")
    terminal.paragraph(SHOWS_PROMPT_ONLINE if model.from_environment() else SHOWS_PROMPT, following="    ")
    return True


def _relative(path: Path) -> Path:
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _env(arguments: argparse.Namespace) -> bool:
    running = stack.Stack.load(DIRECTORY)
    if arguments.name is None:
        _print_environment(running)
        return True
    environment = running.environment()
    if arguments.name not in environment:
        raise StackError(f"there is no variable {arguments.name}; there are {', '.join(environment)}")
    print(environment[arguments.name])
    return True


def _print_environment(running: stack.Stack) -> None:
    for name, value in running.environment().items():
        print(f"export {name}={shlex.quote(value)}")


def _publish(arguments: argparse.Namespace) -> bool:
    if arguments.process not in stack.PREFIXES:
        raise StackError(f"name a queue: QUEUE= one of {', '.join(stack.PREFIXES)}")
    try:
        message = json.loads(arguments.message)
    except ValueError as error:
        raise StackError(f"MESSAGE is not JSON ({error}): quote it, as in MESSAGE='{{…}}'") from None
    queue = f"{stack.PREFIXES[arguments.process]}QueueUrl"
    print(f"published, message_id {stack.Stack.load(DIRECTORY).publish(queue, message)}")
    return True


def _ingest(arguments: argparse.Namespace) -> bool:
    if not arguments.url:
        raise StackError("name a website: make ingest URL=example.com")
    return website.run(stack.Stack.load(DIRECTORY), arguments.url, arguments.user)


def _redrive(arguments: argparse.Namespace) -> bool:
    queues = (
        redrive.of_account(arguments.stack_name)
        if arguments.stack_name
        else redrive.of_local(stack.Stack.load(DIRECTORY))
    )
    redriven = redrive.redrive(arguments.process, *queues)
    print(f"moved {redriven.moved} messages back to the queue of {arguments.process}")
    if redriven.reasons:
        print("\nThe worker had refused these. It will refuse them again unless the cause is fixed:\n")
        terminal.table([("message", "reason"), *redriven.reasons.items()])
    if redriven.dead_again:
        print(f"\n{redriven.dead_again} of these are dead letters again")
    return True


def _invoke(arguments: argparse.Namespace) -> bool:
    running = stack.Stack.load(DIRECTORY)
    event = json.loads(arguments.event.read_text()) if arguments.event else {}
    before = len(running.logs(arguments.function))
    answer, succeeded = running.invoke(arguments.function, event)
    print(*running.logs(arguments.function)[before:], sep="\n", file=sys.stderr)
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return succeeded


def _logs(arguments: argparse.Namespace) -> bool:
    print(*stack.Stack.load(DIRECTORY).logs(arguments.function), sep="\n")
    return True


if __name__ == "__main__":
    sys.exit(main())
