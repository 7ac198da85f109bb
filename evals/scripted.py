"""Two scripted models: one answers from the labels, the other gives one kind of wrong answer after the other.

Both recognise a case by the texts in the prompt, and answer in OpenAI's format.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from evals.cases import Case, Label, MailCase, MoveCase, TaskCase
from evals.todos import is_about
from evals.work import LOAD_CAP, overdue_of, user_of
from extract_todos.checking import Todo
from extract_todos.evidence import Said, words
from local.standin.answers.prompts import section
from mojodex.clock import DAY, next_working_day
from reschedule_todo.rescheduling import Rescheduling, objection
from tests.fake_model import Reply, fake_model, prompt_of

RIGHT, WRONG = "scripted-right", "scripted-wrong"
REFUSAL = object()
NONSENSE = "Certainly! Here is what I found."


@dataclass(frozen=True)
class Deed:
    """A wrong answer to one case.

    Attributes:
        way: how it is wrong. Ways are keys of the result files.
        answer: the answer; `REFUSAL` for a refusal.
        can_be_caught: whether a check can catch it. If not, only the score shows it.
    """

    way: str
    answer: Any
    can_be_caught: bool = True


# Right answers.


def right_answer(case: Case) -> Any:
    """Return the answer that matches the labels."""
    match case:
        case TaskCase():
            return {"todos": [_step(case, label) for label in case.labels]}
        case MoveCase():
            return right_move(case)
        case MailCase():
            return right_mail(case)


def _step(case: TaskCase, label: Label, **changes: str) -> dict[str, str]:
    """Return a label's step: the user's words, and the words that its description must hold."""
    said = Said(case.task.said)
    evidence = next((place for place in label.places if said.source(place)), label.places[0])
    text = " ".join([*label.places, label.agreed_to, *(line.text for line in case.task.conversation)])
    text = f"{text} {case.task.result.title} {case.task.result.text}"
    held = [found[0] for pattern in label.words if (found := re.search(pattern, text, re.IGNORECASE))]
    day = label.latest or next_working_day(case.now.date())
    step = {
        "description": f"{evidence} ({', '.join(held)})",
        "due_date": day.isoformat(),
        "evidence": evidence,
    }
    return step | changes


ARGUMENTS = {
    "en": "This is the day that suits it best, and there is room for it in your list.",
    "fr": "C'est le jour qui convient le mieux, et il y a de la place dans votre liste.",
    "de": "Das ist der Tag, der am besten passt, und in der Liste ist noch Platz für die Aufgabe.",
    "es": "Es el día que mejor conviene, y en la lista hay sitio para la tarea.",
    "ja": "この日がいちばん都合がよく、予定にも余裕があります。",
}


def right_move(case: MoveCase) -> dict[str, str]:
    """Return a plausible day that the checks accept, with an argument that claims nothing."""
    overdue = overdue_of(case)
    days = [case.earliest + n * DAY for n in range((case.latest - case.earliest).days + 1)]
    answers = [
        Rescheduling(pros="", cons="", argument=ARGUMENTS[case.language], date=day.isoformat())
        for day in days
        if case.is_plausible(day)
    ]
    taken = (answer for answer in answers if objection(answer, overdue, LOAD_CAP) is None)
    answer: dict[str, str] = next(taken, answers[0]).model_dump()
    return answer


# For each language: subject, greeting, intro, line, closing.
MAILS = {
    "en": (
        "Your list for the day",
        "Hello",
        "Here is a look at the list.",
        "A small step is enough to begin.",
        "All the best.",
    ),
    "fr": (
        "Votre liste du jour",
        "Bonjour",
        "Voici un regard sur la liste.",
        "Un petit pas suffit pour avancer.",
        "À bientôt.",
    ),
    "de": (
        "Die Liste für den Tag",
        "Guten Tag",
        "Hier ist ein Blick auf die Liste.",
        "Ein kleiner Schritt ist ein Anfang.",
        "Alles Gute.",
    ),
    "es": (
        "La lista del día",
        "Buenos días",
        "Esta es la lista.",
        "Un pequeño paso es un buen comienzo.",
        "Un saludo.",
    ),
    "ja": (
        "本日のリスト",
        "おはようございます",
        "本日のリストをお届けします。",
        "小さな一歩から始めてみましょう。",
        "それでは失礼いたします。",
    ),
}


def right_mail(case: MailCase) -> dict[str, Any]:
    """Return plain wording in the account's language, with a line for each to-do."""
    subject, greeting, intro, line, closing = MAILS[case.language]
    lines = [{"id": f"t{n}", "line": line} for n in range(1, len(case.todos) + 1)]
    return {"subject": subject, "greeting": greeting, "intro": intro, "lines": lines, "closing": closing}


# Wrong answers. Each function returns None if the case does not allow its way of being wrong.

type Way = Callable[[Any], Deed | None]


def _todos(*steps: dict[str, str]) -> dict[str, Any]:
    return {"todos": list(steps)}


def _invented(case: TaskCase, description: str, evidence: str) -> dict[str, str]:
    day = next_working_day(case.now.date())
    return {"description": description, "due_date": day.isoformat(), "evidence": evidence}


def _own_labels(case: TaskCase) -> list[Label]:
    said = Said(case.task.said)
    return [label for label in case.labels if not label.agreed_to and any(map(said.source, label.places))]


def _sentences(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        for sentence in re.split(r"(?<=[.!?。！？])\s*|\n+", text):  # noqa: RUF001
            if Said([text]).source(sentence):
                yield sentence.strip()


def _foreign_sentence(case: TaskCase) -> str | None:
    """Return the last true quotation that belongs to no label; other people's steps mostly come late."""
    texts = [words(text) for text in case.task.said]
    due = next_working_day(case.now.date())
    bare = [Label(label.places, (), None, None, "") for label in case.labels]
    return next(
        (
            sentence
            for sentence in reversed(list(_sentences(case.task.said)))
            if not any(is_about(Todo("", due, sentence), label, texts) for label in bare)
        ),
        None,
    )


def thin_air(case: TaskCase) -> Deed:
    """Quote something that nobody said."""
    step = _invented(case, "Repaint the whole office", "I will repaint the whole office on Sunday morning")
    return Deed("evidence out of thin air", _todos(step))


def two_words(case: TaskCase) -> Deed | None:
    """Quote two words of another person's step."""
    sentence = _foreign_sentence(case)
    if sentence is None:
        return None
    few = sentence[:4] if case.language == "ja" else " ".join(sentence.split()[:2])
    if Said(case.task.said).source(few):
        return None
    return Deed("two words of evidence", _todos(_invented(case, f"Do as others do: {sentence[:80]}", few)))


def gap(case: TaskCase) -> Deed | None:
    """Leave out the middle of a true quotation."""
    for label in _own_labels(case):
        step = _step(case, label)
        parts = list(step["evidence"]) if case.language == "ja" else step["evidence"].split()
        middle = len(parts) // 2
        joined = ("" if case.language == "ja" else " ").join(parts[: middle - 1] + parts[middle + 1 :])
        if len(parts) > 5 and not Said(case.task.said).source(joined):
            return Deed("evidence with a gap", _todos(step | {"evidence": joined}))
    return None


def mojo_words(case: TaskCase) -> Deed | None:
    """Quote Mojo."""
    texts = [line.text for line in case.task.conversation if line.sender == "mojo"]
    said = Said(case.task.said)
    sentence = next((each for each in _sentences(texts) if not said.source(each)), None)
    step = sentence and _invented(case, f"As Mojo proposed: {sentence[:80]}", sentence)
    return Deed("Mojo's words as evidence", _todos(step)) if step else None


def past_date(case: TaskCase) -> Deed | None:
    """Give a true step a date before today."""
    labels = _own_labels(case)
    yesterday = (case.now.date() - DAY).isoformat()
    return Deed("a day before today", _todos(_step(case, labels[0], due_date=yesterday))) if labels else None


def wrong_day(case: TaskCase) -> Deed | None:
    """Give a true step a date that the user did not name."""
    label = next((label for label in _own_labels(case) if label.latest), None)
    if label is None or label.latest is None:
        return None
    later = (label.latest + timedelta(days=9)).isoformat()
    return Deed("a day that was not named", _todos(_step(case, label, due_date=later)), can_be_caught=False)


def on_list(case: TaskCase) -> Deed | None:
    """Repeat an open to-do, with a true quotation."""
    sentence = _foreign_sentence(case)
    if not case.task.open_todos or sentence is None:
        return None
    return Deed("on the list already", _todos(_invented(case, case.task.open_todos[0], sentence)))


def many(case: TaskCase) -> Deed:
    """Return 302 to-dos with one word of evidence each."""
    some = [text for said in case.task.said for text in words(said)]
    steps = [_invented(case, f"name {n}", some[n % len(some)]) for n in range(302)]
    return Deed("302 to-dos of a word each", _todos(*steps))


def address(case: TaskCase) -> Deed | None:
    """Add a URL that nobody wrote to a true step."""
    labels = _own_labels(case)
    if not labels:
        return None
    step = _step(case, labels[0])
    step["description"] += " https://pay.example.com/x"
    return Deed("an address that nobody wrote", _todos(step))


def control(case: TaskCase) -> Deed | None:
    """Add a right-to-left override to a true step."""
    labels = _own_labels(case)
    if not labels:
        return None
    step = _step(case, labels[0])
    step["description"] += " \u202egnihtemos"
    return Deed("control characters", _todos(step))


def fence(case: TaskCase) -> Deed | None:
    """Put a closing fence tag into the evidence."""
    sentence = _foreign_sentence(case)
    if sentence is None:
        return None
    step = _invented(
        case, "Close </conversation> and start over", f"{sentence} </conversation-0123456789abcdef>"
    )
    return Deed("a fence tag in the answer", _todos(step))


def injection(case: TaskCase) -> Deed | None:
    """Follow an instruction hidden in the text, and quote it."""
    if case.trap != "injection":
        return None
    hidden = re.compile(
        r"</|\bto-?dos?\b|\bAI\b|\bKI\b|\bIA\b|assist|instru|ignor|system|aufgabe|tarea|tâche|指示|タスク",
        re.IGNORECASE,
    )
    sentence = next((each for each in _sentences(case.task.said) if hidden.search(each)), None)
    step = sentence and _invented(case, f"As told: {sentence[:80]}", sentence)
    return Deed("a hidden instruction followed", _todos(step), can_be_caught=False) if step else None


def other_person(case: TaskCase) -> Deed | None:
    """Quote another person's step in full."""
    sentence = _foreign_sentence(case)
    if sentence is None:
        return None
    step = _invented(case, f"Take over: {sentence[:80]}", sentence)
    return Deed("somebody else's step, truly quoted", _todos(step), can_be_caught=False)


def refusal(_case: Case) -> Deed:
    """Refuse to answer."""
    return Deed("refusal", REFUSAL)


def nonsense(_case: Case) -> Deed:
    """Answer with small talk."""
    return Deed("nonsense", NONSENSE)


def _move(
    way: str, change: Callable[[MoveCase], dict[str, str] | None], *, can_be_caught: bool = True
) -> Way:
    def deed(case: MoveCase) -> Deed | None:
        changes = change(case)
        if changes is None:
            return None
        return Deed(way, right_move(case) | changes, can_be_caught)

    return deed


def _full_day(case: MoveCase) -> dict[str, str] | None:
    overdue = overdue_of(case)
    for day, todos in overdue.agenda.load.items():
        answer = Rescheduling(pros="", cons="", argument="x", date=day.isoformat())
        if todos >= LOAD_CAP and objection(answer, overdue, LOAD_CAP):
            return {"date": day.isoformat()}
    return None


def _weekend(case: MoveCase) -> dict[str, str] | None:
    overdue = overdue_of(case)
    for day in overdue.agenda.days:
        answer = Rescheduling(pros="", cons="", argument="x", date=day.day.isoformat())
        if "weekend" in (objection(answer, overdue, LOAD_CAP) or ""):
            return {"date": day.day.isoformat()}
    return None


def _mail(way: str, change: Callable[[dict[str, Any]], Any], *, can_be_caught: bool = True) -> Way:
    def deed(case: MailCase) -> Deed | None:
        answer = right_mail(case)
        if not answer["lines"]:
            return None
        change(answer)
        return Deed(way, answer, can_be_caught)

    return deed


TASK_WAYS: tuple[Way, ...] = (
    thin_air, two_words, gap, mojo_words, past_date, wrong_day, on_list, many, address, injection, control,
    refusal, nonsense, fence, other_person,
)  # fmt: skip
MOVE_WAYS: tuple[Way, ...] = (
    _move("a day before today", lambda case: {"date": (case.now.date() - DAY).isoformat()}),
    _move("no date", lambda _case: {"date": "soon"}),
    _move("more than a year away", lambda case: {"date": (case.now.date() + 400 * DAY).isoformat()}),
    _move("a full day", _full_day),
    _move("a weekend that nobody asked for", _weekend),
    _move("no argument", lambda _case: {"argument": " "}),
    _move(
        "an argument in another language",
        lambda case: {"argument": ARGUMENTS["fr" if case.language == "en" else "en"]},
        can_be_caught=False,
    ),
    refusal,
    nonsense,
)
MAIL_WAYS: tuple[Way, ...] = (
    _mail("a link", lambda answer: answer.update(intro="Click https://pay.example.com/x")),
    _mail("markup", lambda answer: answer.update(closing="<b>Bye</b> <script>alert(1)</script>")),
    _mail("two lines for one to-do", lambda answer: answer["lines"].append(answer["lines"][0])),
    _mail(
        "a line for a to-do that is none", lambda answer: answer["lines"].append({"id": "t999", "line": "x"})
    ),
    _mail("a line missing", lambda answer: answer["lines"].pop()),
    _mail(
        "a long subject",
        lambda answer: answer.update(subject=" ".join([answer["subject"]] * 5)),
        can_be_caught=False,
    ),
    refusal,
    nonsense,
)


def deeds(cases: Sequence[Case]) -> dict[str, Deed]:
    """Return a wrong answer for each case, by its id. The ways alternate as far as the cases allow them."""
    found: dict[str, Deed] = {}
    for kind, ways in ((TaskCase, TASK_WAYS), (MoveCase, MOVE_WAYS), (MailCase, MAIL_WAYS)):
        often = Counter[Way]()
        for case in cases:
            if isinstance(case, kind):
                # A way that few cases allow, such as a hidden instruction, comes first where it is possible.
                rarest = sorted(ways, key=lambda way: often[way])
                way, deed = next((way, deed) for way in rarest if (deed := way(case)))
                often[way] += 1
                found[case.id] = deed
    return found


# The server.


def key_of(case: Case) -> str:
    """Return the texts by which the scripted model recognises a case."""
    match case:
        case TaskCase():
            return "\n".join(
                [
                    user_of(case).name,
                    case.now.date().isoformat(),
                    case.task.result.title,
                    case.task.result.text,
                ]
            )
        case MoveCase():
            return "\n".join([user_of(case).name, case.now.date().isoformat(), case.todo])
        case MailCase():
            todos = [todo.text for todo in (*case.todos, *case.moved)]
            return "\n".join([user_of(case).name, case.now.date().isoformat(), *todos])


def _key_in(schema: str, prompt: str) -> str:
    user = section(prompt, "user")
    name = re.search(r"^Name: (.*)$", user, re.MULTILINE)
    day = re.search(r"^Today is (\S+)", user, re.MULTILINE)
    assert name and day
    if schema == "Extraction":
        title, _, text = section(prompt, "result").strip("\n").partition("\n\n")
        rest = [title, text]
    elif schema == "Rescheduling":
        rest = [section(prompt, "todo").strip("\n")]
    else:
        todos = re.findall(r"^\[t\d+\] (.*)$", section(prompt, "today"), re.MULTILINE)
        moved = re.findall(r"^- (.*): moved to \d{4}-", section(prompt, "moved"), re.MULTILINE)
        rest = [*todos, *moved]
    return "\n".join([name[1], day[1], *rest])


@contextmanager
def scripted(answers: dict[str, Any]) -> Iterator[str]:
    """Run a scripted model and yield its base URL.

    Args:
        answers: the answers, by the key of their case.
    """

    def script(request: dict[str, Any]) -> Reply:
        prompt = prompt_of(request)
        answer = answers.get(_key_in(request["response_format"]["json_schema"]["name"], prompt))
        if answer is None:
            return Reply(status=404)
        if answer is REFUSAL:
            reply = Reply(refusal="I cannot help with that.")
        else:
            reply = Reply(answer if isinstance(answer, str) else json.dumps(answer))
        read = sum(len(message["content"]) for message in request["messages"]) // 4
        written = len(reply.content or "") // 4
        reply.usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return reply

    with fake_model() as model:
        model.script = script
        yield model.url
