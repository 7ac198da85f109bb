"""`python -m evals MODEL`: run the workers' code with a model on the labelled cases, and score it."""

import argparse
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import evals
from evals import ROOT, ami, mails, moves, page, report, results, scripted
from evals.cases import LANGUAGES, Case, MailCase, MoveCase, TaskCase, load_mails, load_moves, load_tasks
from evals.proxy import caching_proxy
from evals.work import Made, run
from local.standin.model_server import ModelServer

STANDIN = "standin"
OPENAI = "https://api.openai.com/v1"
LOCAL = ROOT / ".local" / "evals"
LOADERS: dict[str, Callable[[Sequence[str]], Sequence[Case]]] = {
    "todos": load_tasks,
    "moves": load_moves,
    "mails": load_mails,
}


def main() -> int:
    """Run the mode that the command line asks for, and return the exit code."""
    arguments = _arguments()
    if arguments.compare:
        first, second = map(results.read, arguments.compare)
        report.compare(first, second)
        return 0
    if arguments.ami:
        meetings = ami.load(arguments.ami)
        with _served(arguments.model, arguments.base_url, []) as (url, version):
            with caching_proxy(url, LOCAL / "answers", version) as proxy:
                made = run(arguments.model, proxy.url, [case for each in meetings for case in each.cases])
            ami.show(meetings, made, proxy.calls)
        return 0
    cases = [case for kind in _kinds(arguments.kind) for case in LOADERS[kind](arguments.languages)]
    with (
        _served(arguments.model, arguments.base_url, cases) as (url, version),
        caching_proxy(url, LOCAL / "answers", version) as proxy,
    ):
        made = run(arguments.model, proxy.url, cases)
    found = results.results_of(arguments.model, cases, made)
    found.cost = results.cost_of(proxy.exchanges, arguments.prompt_price, arguments.completion_price)
    if arguments.model == scripted.WRONG:
        found.deeds = deeds_done(cases, made)
    report.show(found, proxy.calls)
    written = results.write(found)
    drawn = page.write(found, cases, made, LOCAL)
    print(f"\n{written.relative_to(ROOT)}\n{drawn.relative_to(ROOT)}")
    return int(any(saved and can_be_caught for _, saved, can_be_caught in found.deeds.values()))


def deeds_done(cases: Sequence[Case], made: Sequence[Made]) -> dict[str, tuple[int, int, bool]]:
    """Count, for each way of being wrong, the scripted model's attempts and how many would be saved."""
    found: dict[str, tuple[int, int, bool]] = {}
    deeds = scripted.deeds(cases)
    for case, outcome in zip(cases, made, strict=True):
        deed = deeds[case.id]
        kind = {TaskCase: "to-do", MoveCase: "move", MailCase: "mail"}[type(case)]
        way = f"{kind}: {deed.way}"
        tried, saved, _ = found.get(way, (0, 0, True))
        more, kept = saved_of(case, deed, outcome)
        found[way] = (tried + more, saved + kept, deed.can_be_caught)
    return dict(sorted(found.items(), key=lambda item: (not item[1][2], item[0])))


def saved_of(case: Case, deed: scripted.Deed, outcome: Made) -> tuple[int, int]:
    """Return how many wrong things an answer holds, and how many of them would be saved."""
    match case:
        case TaskCase():
            if not isinstance(deed.answer, dict):
                return 1, len(outcome.todos)
            steps = {(step["description"], step["due_date"]) for step in deed.answer["todos"]}
            kept = [(todo.description, todo.due_date.isoformat()) for todo in outcome.todos]
            return len(deed.answer["todos"]), sum(each in steps for each in kept)
        case MoveCase():
            score = moves.score(case, outcome.move)
            return 1, int(score.by_model)
        case MailCase():
            mail = mails.score(case, outcome.mail)
            is_fine = mail.has_each_once and mail.is_clean and mail.is_in_language and mail.is_short
            return 1, int(mail.by_model and not is_fine)


def _kinds(kind: str) -> list[str]:
    return list(LOADERS) if kind == "all" else [kind]


@contextmanager
def _served(model: str, base_url: str, cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    """Yield the base URL of the model's server, and a version that changes when our servers' answers may."""
    if model == STANDIN:
        with ModelServer() as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/v1", _version(ROOT / "local" / "standin")
            server.shutdown()
    elif model in (scripted.RIGHT, scripted.WRONG):
        deeds = scripted.deeds(cases) if model == scripted.WRONG else {}
        answers = {
            scripted.key_of(case): deeds[case.id].answer if deeds else scripted.right_answer(case)
            for case in cases
        }
        with scripted.scripted(answers) as url:
            # The set of cases decides which case gets which wrong answer.
            asked = hashlib.sha256(repr([case.id for case in cases]).encode()).hexdigest()
            yield url, _version(Path(evals.__file__).parent) + asked
    else:
        yield base_url, ""


def _version(folder: Path) -> str:
    files = sorted(path for ending in ("py", "toml") for path in folder.rglob(f"*.{ending}"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals", description=__doc__)
    parser.add_argument(
        "model", nargs="?", help="standin, scripted-right, scripted-wrong, or the name of any model"
    )
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL") or OPENAI)
    parser.add_argument("--kind", choices=[*LOADERS, "all"], default="all")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--prompt-price", type=float, help="USD per million tokens")
    parser.add_argument("--completion-price", type=float, help="USD per million tokens")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two evaluated models, or files")
    parser.add_argument("--ami", type=Path, metavar="DIR", help="folder of the AMI corpus, see evals.ami")
    arguments = parser.parse_args()
    if not arguments.model and not arguments.compare:
        parser.error("name a model")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
