"""The action items of the AMI meeting corpus (CC BY 4.0), as finished tasks.

The data is not in this repository. DIR is the folder `ami_public_manual_1.6.2` of the GitHub repository
Hasetomo2142/ami-corpus-preprocessing, with `abstractive`, `extractive`, `dialogueActs` and `words`.

Each speaker of a meeting with action items becomes the user of a task. The speaker's own turns are the user's
messages. The turns of others are left out, because quoting them would count as the user's words. So the model
reads each utterance once, but does not see the question that "I'll do that" answers. The worker's own budget
cuts long conversations. There is no result and no list of open to-dos.

The labels are the utterances that the corpus links to its action items. An utterance is found if it shares a
word with the evidence of a to-do that would be saved. F1 is over utterances.

The figures of others (38 to 43 %) do not measure the same: their classifiers were trained on this corpus and
saw whole meetings. Besides, most labelled utterances are of a project manager who assigns work ("as the
industrial designer, you're gonna be working on the design"), which our prompt treats as the step of somebody
else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean

from lxml import etree

from evals.cases import TaskCase
from evals.work import Made
from extract_todos.evidence import words
from extract_todos.task import Line, Result, Task

NITE = "{http://nite.sourceforge.net/}"
PUBLISHED = "38 to 43 %"
SPEAKERS = "ABCDE"
ID = re.compile(r"id\(([^)]+)\)")


@dataclass(frozen=True)
class Utterance:
    """A dialogue act: its speaker, its start in seconds, and its text."""

    id: str
    speaker: str
    start: float
    text: str


@dataclass(frozen=True)
class Meeting:
    """A meeting, with one task for each speaker.

    Attributes:
        cases: the tasks.
        turns: for each task, the utterances of each message.
        labelled: ids of the utterances that are evidence of an action item.
    """

    name: str
    cases: list[TaskCase]
    turns: list[list[list[Utterance]]]
    labelled: frozenset[str]


def load(folder: Path) -> list[Meeting]:
    """Load the meetings whose action items have linked utterances.

    Raises:
        ValueError: the folder is not the corpus.
    """
    meetings = []
    for path in sorted((folder / "abstractive").glob("*.abssumm.xml")):
        name = path.name.partition(".")[0]
        if labelled := _labelled(folder, name, path):
            meetings.append(_meeting(folder, name, labelled))
    if not meetings:
        raise ValueError(f"{folder} holds no meeting with action items")
    return meetings


def _labelled(folder: Path, name: str, summary: Path) -> frozenset[str]:
    actions = {each.get(f"{NITE}id") for each in etree.parse(summary).iterfind(".//actions/sentence")}
    links = folder / "extractive" / f"{name}.summlink.xml"
    if not actions or not links.exists():
        return frozenset()
    found = set()
    for link in etree.parse(links).iter("summlink"):
        ends = {end.get("role"): ID.findall(end.get("href", ""))[0] for end in link}
        if ends["abstractive"] in actions:
            found.add(ends["extractive"])
    return frozenset(found)


def _meeting(folder: Path, name: str, labelled: frozenset[str]) -> Meeting:
    said = sorted(
        (each for speaker in SPEAKERS for each in _utterances(folder, name, speaker)),
        key=lambda utterance: utterance.start,
    )
    cases, turns = [], []
    for speaker in sorted({utterance.speaker for utterance in said}):
        messages: list[list[Utterance]] = []
        before = ""
        for utterance in said:
            if utterance.speaker == speaker:
                if before != speaker:
                    messages.append([])
                messages[-1].append(utterance)
            before = utterance.speaker
        cases.append(_case(name, speaker, messages))
        turns.append(messages)
    return Meeting(name, cases, turns, labelled)


def _utterances(folder: Path, name: str, speaker: str) -> list[Utterance]:
    acts = folder / "dialogueActs" / f"{name}.{speaker}.dialog-act.xml"
    spoken = folder / "words" / f"{name}.{speaker}.words.xml"
    if not acts.exists() or not spoken.exists():
        return []
    elements = list(etree.parse(spoken).getroot())
    position = {element.get(f"{NITE}id", ""): n for n, element in enumerate(elements)}
    found = []
    for act in etree.parse(acts).iter("dact"):
        child = act.find(f"{NITE}child")
        ends = ID.findall(child.get("href", "")) if child is not None else []
        if not ends or ends[0] not in position or ends[-1] not in position:
            continue
        those = elements[position[ends[0]] : position[ends[-1]] + 1]
        text = "".join(
            (each.text or "") if each.get("punc") else f" {each.text or ''}"
            for each in those
            if each.tag == "w"
        ).strip()
        if text:
            start = float(those[0].get("starttime") or 0)
            found.append(Utterance(act.get(f"{NITE}id", ""), speaker, start, text))
    return found


def _case(name: str, speaker: str, messages: Sequence[Sequence[Utterance]]) -> TaskCase:
    lines = [Line("user", " ".join(each.text for each in message)) for message in messages]
    definition = "The user was in a meeting. These are their own words of it, turn by turn."
    return TaskCase(
        id=f"{name}.{speaker}",
        language="en",
        trap="",
        user=f"Speaker {speaker}",
        # The corpus names no usable day, so dates are not judged.
        now=datetime(2026, 11, 26, 17, 0),  # noqa: DTZ001
        task=Task("prepare_meeting_recap", definition, lines, Result(f"Meeting {name}", ""), []),
        labels=(),
    )


def found_in(messages: Sequence[Sequence[Utterance]], evidence: str) -> set[str]:
    """Return the ids of the utterances that the evidence covers, in the first message that contains it."""
    wanted = words(evidence)
    for message in messages:
        # For each word of the message, the id of its utterance.
        owners = [utterance.id for utterance in message for _ in words(utterance.text)]
        text = [word for utterance in message for word in words(utterance.text)]
        for start in range(len(text) - len(wanted) + 1):
            if text[start : start + len(wanted)] == wanted:
                return set(owners[start : start + len(wanted)])
    return set()


def show(meetings: Sequence[Meeting], made: Sequence[Made], calls: int) -> None:
    """Print F1 over utterances beside the published figure."""
    waiting = iter(made)
    right = false = missing = failed = 0
    scores = []
    for meeting in meetings:
        found: set[str] = set()
        for messages in meeting.turns:
            outcome = next(waiting)
            failed += bool(outcome.failure)
            found |= set().union(*(found_in(messages, todo.evidence) for todo in outcome.todos))
        hits = len(found & meeting.labelled)
        right, false = right + hits, false + len(found) - hits
        missing += len(meeting.labelled) - hits
        scores.append(2 * hits / (len(found) + len(meeting.labelled)))
    speakers = sum(len(meeting.cases) for meeting in meetings)
    labelled = right + missing
    print(f"\n{len(meetings)} meetings, {speakers} speakers, {labelled} labelled utterances; {calls} calls")
    print(f"{'precision':24}{right / max(1, right + false):>8.1%}")
    print(f"{'recall':24}{right / max(1, right + missing):>8.1%}")
    print(f"{'F1':24}{2 * right / (2 * right + false + missing):>8.1%}   published: {PUBLISHED}")
    print(f"{'F1, mean of meetings':24}{mean(scores):>8.1%}")
    print(f"{'failed':24}{failed:>8}")
