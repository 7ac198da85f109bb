"""Google's test cases for robots.txt, read from its C++ code with regular expressions as far as possible."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.suites import Result
from documents.web.directives import AGENT
from documents.web.fetch import Fetched
from documents.web.robots import read_robots

TEST = re.compile(r"^TEST\(\w+, (\w+)\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
STRINGS = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
ASSIGNED = re.compile(rf"(\w+)(?:\[\])? =\s*({STRINGS});")
# A string that is built in a loop is not understood, nor are the cases that use it.
APPENDED = re.compile(r"StrAppend\(&(\w+)")
EXPECTED = re.compile(r"EXPECT_(TRUE|FALSE)\(\s*IsUserAgentAllowed\((.*?)\)\s*\)\s*;", re.DOTALL)
STATEMENT = re.compile(rf"{ASSIGNED.pattern}|{APPENDED.pattern}|{EXPECTED.pattern}", re.DOTALL)
ARGUMENT = re.compile(rf"\s*({STRINGS}|\w+)\s*(?:,|$)")
ANY_EXPECTATION = re.compile(r"EXPECT_\w+\(|^  Test\w+\(", re.MULTILINE)
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
AGENT_LINE = re.compile(r"^\s*user-agent\b.*$", re.IGNORECASE | re.MULTILINE)
# A valid name of an agent (RFC 9309, 2.2.1).
NAME = re.compile(r"[A-Za-z_-]+")
ON_PURPOSE = {
    "ID_Encoding": "on purpose: both are decoded before they are compared, as RFC 9309 (2.2.2) says"
}


@dataclass(frozen=True)
class Case:
    """One expectation of the suite."""

    test: str
    text: str
    agent: str
    url: str
    allowed: bool


def cases_of(source: str) -> tuple[list[Case], int]:
    """Return the cases of a C++ source, and the number of expectations that were not understood."""
    cases = [case for name, body in TEST.findall(source) for case in _of_test(name, body)]
    return cases, len(ANY_EXPECTATION.findall(source)) - len(cases)


def _of_test(name: str, body: str) -> Iterator[Case]:
    values: dict[str, str] = {}
    for variable, strings, appended, expected, arguments in STATEMENT.findall(body):
        if variable:
            values[variable] = _unquoted(strings)
        elif appended:
            values.pop(appended, None)
        else:
            asked = [_value(argument, values) for argument in ARGUMENT.findall(arguments)]
            match asked:
                case [str(text), str(agent), str(url)]:
                    yield Case(name, text, agent, url, expected == "TRUE")


def _value(argument: str, values: dict[str, str]) -> str | None:
    return _unquoted(argument) if argument.startswith('"') else values.get(argument)


def _unquoted(strings: str) -> str:
    """Join adjacent C++ literals, and resolve their simple escapes."""
    joined = "".join(LITERAL.findall(strings))
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r", "t": "\t"}.get(match[1], match[1]), joined)


def run(folder: Path) -> tuple[list[Result], int]:
    """Run the suite of a clone of google/robotstxt. Return results and the number of unknown expectations."""
    cases, unknown = cases_of((folder / "robots_test.cc").read_text())
    return [result_of(case) for case in cases], unknown


def result_of(case: Case) -> Result:
    """Ask our robots module about a case, with our name in the place of the suite's agent."""
    shown = f"{case.test}: {case.agent!r} at {case.url!r}"
    if not NAME.fullmatch(case.agent):
        return Result(shown, "left out: no name that a crawler can have")
    name = re.compile(rf"(?<![\w-]){re.escape(case.agent)}(?![\w-])", re.IGNORECASE)
    text = AGENT_LINE.sub(lambda line: name.sub(AGENT, line[0]), case.text)
    fetched = Fetched("http://foo.bar/robots.txt", 200, "text/plain", None, text.encode(), None)
    allowed = read_robots("http://foo.bar/", lambda _url, _limit: fetched).allows(case.url)
    if allowed == case.allowed:
        return Result(shown)
    if case.test in ON_PURPOSE:
        return Result(shown, ON_PURPOSE[case.test])
    return Result(shown, f"lost: {'allowed' if allowed else 'forbidden'}", lost=True)
