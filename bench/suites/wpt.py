"""The URL cases of web-platform-tests: we must read a link as browsers do, and look up the same host."""

import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bench.suites import Result
from bench.suites.attempts import attempt, numeric
from documents.text.links import _absolute
from documents.web.urls import normalised

WEB = re.compile(r"[\x00-\x20]*https?:", re.IGNORECASE)
PORTS = {"http:": "80", "https:": "443"}
# Characters that stay when parts of addresses are compared; others are percent-encoded on both sides.
KEPT = "/:@!$&'()*+,;=%?~"
LABEL = re.compile(r"[a-z0-9_-]{1,63}")
ANOTHER_HOST = "dangerous: another host"


def run(place: Path) -> list[Result]:
    """Run `urltestdata.json`, and `toascii.json` if it exists, of a folder; or one such file."""
    files = [place] if place.is_file() else [place / "urltestdata.json", place / "toascii.json"]
    return [result for path in files if path.exists() for result in _of_file(path)]


def _of_file(path: Path) -> Iterator[Result]:
    for case in json.loads(path.read_text()):
        # Strings between the cases are comments.
        if isinstance(case, str):
            continue
        if "output" in case:
            yield result_of_name(case["input"], case["output"])
        elif "failure" in case:
            if any(WEB.match(case[name] or "") for name in ("input", "base")):
                yield result_of_failure(case)
        elif case["protocol"] in PORTS:
            yield result_of(case)


def result_of(case: dict[str, Any]) -> Result:
    """Compare our reading of a link with that of browsers."""
    shown = f"{case['input']!r} on {case['base']!r}"
    ours = _read(case["input"], case["base"])
    if ours is None:
        for reason, holds in (
            ("a user name in the address", "@" in f"{case['input']}{case['base']}"),
            ("port 0", case["port"] == "0"),
            ("no name that DNS can have", not _is_host(case["hostname"])),
        ):
            if holds:
                return Result(shown, f"on purpose, refused: {reason}")
        return Result(shown, "lost: refused", lost=True)
    if (other := _another_host(shown, ours, case["hostname"])) is not None:
        return other
    parts = urlsplit(ours)
    scheme = f"{parts.scheme}:"
    for name, mine, theirs in (
        ("scheme", scheme, case["protocol"]),
        ("port", str(parts.port or PORTS[scheme]), case["port"] or PORTS[case["protocol"]]),
        ("path", _folded(parts.path), _folded(case["pathname"])),
        ("query", _folded(parts.query), _folded(case["search"][1:])),
    ):
        if mine != theirs:
            return Result(f"{shown}: {ours}", f"lost: another {name}", lost=True)
    return Result(shown)


def result_of_failure(case: dict[str, Any]) -> Result:
    """Check that we refuse a link, as browsers do, before its name is looked up."""
    return _of_refused(f"{case['input']!r} on {case['base']!r}", _read(case["input"], case["base"]))


def result_of_name(name: str, expected: str | None) -> Result:
    """Compare our ASCII form of a name with that of browsers; None means that they refuse it."""
    ours = _read(f"https://{name}/x", None)
    if expected is None:
        return _of_refused(repr(name), ours)
    if ours is None:
        if not _is_host(expected):
            return Result(repr(name), "on purpose, refused: no name that DNS can have")
        return Result(repr(name), "lost: refused", lost=True)
    return _another_host(repr(name), ours, expected) or Result(repr(name))


def _of_refused(shown: str, ours: str | None) -> Result:
    if ours is None or not (asked := attempt(ours, _nothing, any_port=True).asked):
        return Result(shown)
    return Result(f"{shown} asks {asked[0]!r}", "lost: looked up, browsers refuse it", lost=True)


def _read(link: str, base: str | None) -> str | None:
    """Return the address that a crawl would store for a link on a page."""
    found = _absolute(base or "", link)
    try:
        return None if found is None else normalised(found)
    except ValueError:
        return None


def _another_host(shown: str, ours: str, expected: str) -> Result | None:
    """Return the fault of the name that is finally looked up, or None."""
    tried = attempt(ours, _nothing, any_port=True)
    if not tried.asked:
        return Result(f"{shown}: {ours}", f"lost: refused, {tried.reason}", lost=True)
    stored, asked, theirs = map(_host, (urlsplit(ours).hostname or "", tried.asked[0], expected))
    if stored == asked == theirs:
        return None
    return Result(f"{shown}: stores {stored}, asks {asked}, browsers {theirs}", ANOTHER_HOST, lost=True)


def _host(name: str) -> str:
    """Return the same spelling for all spellings of a host, with numbers as resolvers read them."""
    name = name.strip("[]").rstrip(".").lower()
    return str(ipaddress.ip_address(address)) if (address := numeric(name)) else name


def _is_host(name: str) -> bool:
    """Return whether DNS can have this name, or resolvers read it as an address."""
    labels = name.removesuffix(".").split(".")
    return name.startswith("[") or (len(name) < 255 and all(map(LABEL.fullmatch, labels)))


def _folded(text: str) -> str:
    return quote(text, safe=KEPT)


def _nothing(_host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "there is no network")
