"""The result page: figures, pictures, and each wrong case with its input, the labels and the model's work."""

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evals import mails, moves, results, todos
from evals.cases import Case, Label, MailCase, MoveCase, TaskCase
from evals.report import as_text
from evals.results import SHARES, Results
from evals.work import Made

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "evals", "font.family": "sans-serif"})
# matplotlib draws in these marker colours, which `_svg` replaces by the page's own.
INK, MARK, FAULT = "#010203", "#040506", "#070809"
THEME = {INK: "currentColor", MARK: "var(--mark)", FAULT: "var(--fault)"}
STYLE = """
:root { color-scheme: light dark; --mark: #1d6fb8; --fault: #b3401f; --line: #ccc; --soft: #f4f4f2; }
@media (prefers-color-scheme: dark) {
  :root { --mark: #6db3f2; --fault: #f0906b; --line: #444; --soft: #222; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin-bottom: 0; }
.pictures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem .25rem 0; text-align: left;
  overflow-wrap: normal; }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; }
blockquote { background: var(--soft); border-left: 3px solid var(--line); margin: .3rem 0;
  padding: .3rem .6rem; white-space: pre-line; }
.fault { color: var(--fault); } .right { color: var(--mark); }
"""


def write(found: Results, cases: Sequence[Case], made: Sequence[Made], folder: Path) -> Path:
    """Write the page and return its path."""
    pairs = list(zip(cases, made, strict=True))
    wrong = [text for case, outcome in pairs if (text := _wrong_case(case, outcome))]
    parts = [
        f"<h1>How well {escape(found.model)} does</h1>",
        _summary(found, len(pairs) - len(wrong), len(pairs)),
    ]
    if found.counts:
        parts += [
            f'<div class="pictures">{_f1_picture(found)}{_false_picture(found)}</div>',
            _todo_table(found),
        ]
    for kind, title in (("m", "Moves"), ("e", "Mails")):
        if shares := found.rule_shares(kind):
            rows = [(name, f"{held} of {cases}") for name, (held, cases) in shares.items()]
            parts.append(f"<h2>{title}</h2>{_table(('rule', 'held'), rows)}")
    if found.deeds:
        done = [
            (way, str(tried), str(saved), "" if can_be_caught else "no check can catch it")
            for way, (tried, saved, can_be_caught) in found.deeds.items()
        ]
        parts.append(f"<h2>Wrong on purpose</h2>{_table(('way', 'tried', 'saved', ''), done)}")
    if found.left_out:
        rows = [(reason, str(steps)) for reason, steps in found.left_out.items()]
        parts.append(f"<h2>Left out by the check</h2>{_table(('reason', 'steps'), rows)}")
    parts.append(f"<h2>{len(wrong)} cases with a fault</h2>{''.join(wrong)}")
    path = results.path_of(found.model, folder, "html")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(found.model)}</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _summary(found: Results, right: int, number: int) -> str:
    cost = ", ".join(f"{name} {value:,}" for name, value in found.cost.items() if value is not None)
    failed = f" {len(found.failures)} cases failed." if found.failures else ""
    return f"<p>{right} of {number} cases are entirely right.{failed} {escape(cost)}.</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>{line(head, "th")}{body}</table></div>'


def _todo_table(found: Results) -> str:
    rows = [
        (code or "all", *(as_text(each) for each in found.figures(code).values()))
        for code in ("", *found.languages)
    ]
    taken, labelled = found.agreed
    agreed = f"<p>Only agreed to, so neither right nor wrong: {taken} of {labelled} taken.</p>"
    return f"<h2>To-dos</h2>{_table(('language', *SHARES), rows)}{agreed}"


def _f1_picture(found: Results) -> str:
    names = ["", *found.languages][::-1]
    figures = [found.figures(code)["F1"] for code in names]
    figure, axes = _axes(len(names), "F1 of to-dos, with its 95 % interval")
    for row, each in enumerate(figures):
        if each.value is None or each.low is None or each.high is None:
            continue
        axes.plot([each.low * 100, each.high * 100], [row, row], color=MARK, linewidth=2)
        axes.plot([each.value * 100], [row], "o", color=MARK)
    axes.set_yticks(range(len(names)), [code or "all" for code in names])
    axes.set_xlim(-3, 103)
    axes.set_xlabel("%")
    return _svg(figure, "F1 by language")


def _false_picture(found: Results) -> str:
    traps = sorted(found.false_by_trap.items(), reverse=True)
    figure, axes = _axes(len(traps), "False to-dos, by kind of trap")
    axes.barh([trap for trap, _ in traps], [false for _, (false, _) in traps], color=FAULT, height=0.6)
    for row, (_, (false, cases)) in enumerate(traps):
        axes.text(false, row, f" {false} in {cases}", va="center", color=INK, fontsize=10)
    axes.set_xlim(0, max(1, *(false for _, (false, _) in traps)) * 1.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure, "False to-dos by trap")


def _axes(rows: int, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, 0.9 + 0.26 * max(rows, 6)), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.tick_params(colors=INK, labelsize=10)
    axes.xaxis.label.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    return figure, axes


def _svg(figure: Figure, label: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    for colour, of_page in THEME.items():
        drawn = drawn.replace(colour, of_page)
    # matplotlib writes no colour for black text.
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" fill="currentColor" ', 1)


def _wrong_case(case: Case, outcome: Made) -> str:
    """Return the HTML of a case with a fault; '' if there is none."""
    match case:
        case TaskCase():
            score = todos.score(case, outcome.todos)
            if score.is_right and not outcome.failure:
                return ""
            faults = [
                ("missing", len(score.missing)),
                ("false", len(score.false)),
                ("wrong day", len(score.wrong_dates)),
            ]
            title = ", ".join(f"{number} {name}" for name, number in faults if number)
            said = "\n\n".join(f"{line.sender}: {line.text}" for line in case.task.conversation)
            said += f"\n\n{case.task.result.title}\n{case.task.result.text}"
            expected = [_label(label) for label in case.labels]
            false = set(score.false) | {todo for todo, _ in score.wrong_dates}
            made = [
                f'<span class="{"fault" if todo in false else "right"}">{escape(todo.description)}</span> '
                f"({todo.due_date}): “{escape(todo.evidence)}”"
                for todo in outcome.todos
            ]
            made += [
                f"left out: {escape(step.description)} ({escape(step.reason)})"
                for step in outcome.left_out[:20]
            ]
        case MoveCase():
            held = vars(moves.score(case, outcome.move))
            if all(held.values()):
                return ""
            title = _broken(held)
            history = "\n".join(f"planned for {each.day}: {each.why}" for each in case.schedulings)
            said = f"{case.now:%A %Y-%m-%d}\n{case.todo}\n{history}\n\n{case.title}\n{case.result}"
            without = f" without {', '.join(map(str, case.without))}" if case.without else ""
            expected = [escape(f"{case.earliest} to {case.latest}{without}")]
            move = outcome.move
            made = [escape(f"{move.scheduled_date}, by {move.chosen_by}: {move.argument}")] if move else []
        case MailCase():
            held = vars(mails.score(case, outcome.mail))
            if all(held.values()):
                return ""
            title = _broken(held)
            said = "\n".join(todo.text for todo in (*case.todos, *case.moved))
            expected = [escape(f"nothing like {pattern}") for pattern in case.forbidden]
            made = [escape(text) for text in mails.words_of(outcome.mail)] if outcome.mail else []
    if outcome.failure:
        made.append(f'<span class="fault">{escape(outcome.failure)}</span>')
    trap = f" ({case.trap})" if isinstance(case, TaskCase) and case.trap else ""
    return (
        f"<details><summary><b>{case.id}</b>{escape(trap)}: {escape(title or 'failed')}</summary>"
        f"<h3>Expected</h3>{_list(expected)}<h3>Made</h3>{_list(made)}"
        f"<h3>Said</h3><blockquote>{escape(said)}</blockquote></details>"
    )


def _broken(held: dict[str, bool]) -> str:
    return "not: " + ", ".join(name.replace("_", " ") for name, holds in held.items() if not holds)


def _label(label: Label) -> str:
    day = "no day" if label.latest is None else f"{label.earliest} to {label.latest}"
    agreed = f" agreed to “{escape(label.agreed_to)}”" if label.agreed_to else ""
    return f"“{escape(label.places[0])}” ({day}) with {escape(' and '.join(label.words))}{agreed}"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else "<p>nothing</p>"
