"""Make mutants of an SQL statement: drop or reverse its conditions, assignments and guards."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

# Upper-case words that none of our sentences has.
IS_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|AND|OR)\b")
TOKEN = re.compile(r"'[^']*'|[(),]|\b[A-Z]{2,}\b")
# They end a condition, a list of assignments or a clause at the same depth.
ENDS = {
    *("WHERE", "RETURNING", "ORDER", "GROUP", "LIMIT", "FOR", "THEN", "ELSE", "END", "SELECT", "FROM", "ON"),
    *("JOIN", "LEFT", "HAVING", "UNION", "VALUES", "SET", "WHEN"),
}
TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "<>": "="}


@dataclass(frozen=True)
class Change:
    """A changed statement.

    Attributes:
        before, after: the change in short.
        text: the whole statement.
    """

    before: str
    after: str
    text: str


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    # Number of brackets around it. A bracket is not inside of itself.
    depth: int


def changes(text: str) -> Iterator[Change]:
    """Make all mutants of a statement, without its comments."""
    text = re.sub("--[^\n]*", "", text)
    tokens = list(_tokens(text))
    yield from _conditions(text, tokens)
    yield from _assignments(text, tokens)
    yield from _clauses(text, tokens)
    yield from _choices(text, tokens)
    yield from _in_place(text)


def _tokens(text: str) -> Iterator[_Token]:
    depth = 0
    for match in TOKEN.finditer(text):
        depth -= match[0] == ")"
        yield _Token(match[0], match.start(), match.end(), depth)
        depth += match[0] == "("


def _change(text: str, start: int, end: int, new: str) -> Change:
    old = text[start:end]
    return Change(" ".join(old.split()), " ".join(new.split()), f"{text[:start]}{new}{text[end:]}")


def _end(text: str, tokens: list[_Token], index: int, depth: int) -> int:
    """Return the end of the clause that begins after the token."""
    for token in tokens[index + 1 :]:
        if token.depth < depth or (token.depth == depth and token.text in ENDS):
            return token.start
    return len(text)


def _conditions(text: str, tokens: list[_Token]) -> Iterator[Change]:
    """Drop each condition, negate its `=`, and swap AND and OR."""
    for index, token in enumerate(tokens):
        is_bracket = token.text == "("
        if not is_bracket and token.text not in ("WHERE", "WHEN"):
            continue
        depth = token.depth + is_bracket
        end = _end(text, tokens, index, depth)
        inside = [each for each in tokens[index + 1 :] if each.end <= end and each.depth == depth]
        joints = [each for each in inside if each.text in ("AND", "OR")]
        if is_bracket and (not joints or any(each.text in ENDS for each in inside)):
            continue
        for joint in joints:
            yield _change(text, joint.start, joint.end, "OR" if joint.text == "AND" else "AND")
        starts, ends = [token.end, *(each.end for each in joints)], [*(each.start for each in joints), end]
        for number, (start, stop) in enumerate(zip(starts, ends, strict=True)):
            if joints:
                first = number == 0
                gap = (start, joints[0].end) if first else (joints[number - 1].start, stop)
                yield _change(text, *gap, " ")
            elif token.text == "WHERE":
                yield _change(text, token.start, stop, " ")
            for equal in re.finditer(r"(?<= )=(?= )", text[start:stop]):
                changed = _change(text, start + equal.start(), start + equal.end(), "<>")
                operand = " ".join(text[start:stop].split())
                yield Change(operand, operand.replace(" = ", " <> ", 1), changed.text)


def _assignments(text: str, tokens: list[_Token]) -> Iterator[Change]:
    """Drop each assignment of a SET that has several."""
    for index, token in enumerate(tokens):
        if token.text != "SET":
            continue
        end = _end(text, tokens, index, token.depth)
        commas = [
            each
            for each in tokens[index + 1 :]
            if each.text == "," and each.depth == token.depth and each.end <= end
        ]
        borders = [token.end, *(comma.end for comma in commas), end]
        for number, (start, stop) in enumerate(pairwise(borders)):
            if not commas:
                continue
            last = number == len(commas)
            yield _change(text, commas[-1].start if last else start, stop, " ")


def _clauses(text: str, tokens: list[_Token]) -> Iterator[Change]:
    """Drop ORDER BY, LIMIT, FOR UPDATE and ON CONFLICT DO NOTHING."""
    for index, token in enumerate(tokens):
        if token.text in ("ORDER", "LIMIT", "FOR"):
            yield _change(text, token.start, _end(text, tokens, index, token.depth), " ")
    for match in re.finditer("ON CONFLICT DO NOTHING", text):
        yield _change(text, *match.span(), " ")


def _choices(text: str, tokens: list[_Token]) -> Iterator[Change]:
    """Replace COALESCE and CASE by one of their sides."""
    for index, token in enumerate(tokens):
        if token.text == "COALESCE":
            depth = token.depth + 1
            end = _end(text, tokens, index + 1, depth)
            comma = next(each for each in tokens[index:] if each.text == "," and each.depth == depth)
            yield _change(text, token.start, end + 1, text[tokens[index + 1].end : comma.start])
            yield _change(text, token.start, end + 1, text[comma.end : end])
    for match in re.finditer(r"CASE WHEN .*? THEN (.*?) ELSE (.*?) END", text):
        yield _change(text, *match.span(), match[1])
        yield _change(text, *match.span(), match[2])


def _in_place(text: str) -> Iterator[Change]:
    """Change comparisons, NOT, signs, numbers, texts and lists in place."""
    for match in re.finditer(r"(\S+) (<=|>=|<>|<|>) (\S+)", text):
        yield _change(text, *match.span(), f"{match[1]} {TURNED[match[2]]} {match[3]}")
    for match in re.finditer(r"\bNOT (?!MATERIALIZED)(\S+)", text):
        yield _change(text, *match.span(), match[1])
    for match in re.finditer(r" ([+-]) (\S+)", text):
        yield _change(text, *match.span(), f" {'-' if match[1] == '+' else '+'} {match[2]}")
    for match in re.finditer(r"(?<![\w:.'])\d+(?![\w'])", text):
        yield _change(text, *match.span(), str(int(match[0]) + 1))
    for match in re.finditer(r"'([^']*)'", text):
        yield _change(text, *match.span(), "''" if match[1] else "'XX'")
    for match in re.finditer(r" IN \(('[^()]*)\)", text):
        yield _change(text, *match.span(), f" NOT IN ({match[1]})")
        items = match[1].split(", ")
        for number in range(len(items) if len(items) > 1 else 0):
            kept = ", ".join([*items[:number], *items[number + 1 :]])
            yield _change(text, *match.span(), f" IN ({kept})")
