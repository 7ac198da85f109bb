"""Addresses of internal hosts, from lists of others: each must be refused before a socket is opened."""

import ast
import ipaddress
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.suites import Result
from bench.suites.attempts import attempt, numeric
from documents.web.urls import normalised

FILES = (".md", ".txt", ".py")
# In prose: a code span, or the text after a scheme until white space, a quote or a bracket.
SPAN = re.compile(r"`([a-z0][a-z0-9+.-]*:[^`\n]+)`", re.IGNORECASE)
ADDRESS = re.compile(r"(?<![\w+.-])[a-z0][a-z0-9+.-]*:/?/[^\s`'\"<>)|]+", re.IGNORECASE)
# In Python, a whole string.
STRING = re.compile(r"[a-z0-9][a-z0-9+.-]*:/\S*", re.IGNORECASE)
# The last label of a name that no registry has.
NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
# The addresses of names, according to the lists; nothing is looked up. Any other name counts as public.
LOOPBACK, METADATA, PRIVATE, PUBLIC = "127.0.0.1", "169.254.169.254", "10.0.0.1", "192.0.78.9"
NAMES = (
    (r"localhost|ip6-.+|(.+\.)?localtest\.me|localh\.st|spoofed\..+|foo", LOOPBACK),
    (r"metadata(\.(google\.internal|packet\.net|tencentyun\.com))?", METADATA),
    (r"instance-data|rancher-metadata|ssrf-(cloud|race|\d).*\.localdomain\.pw", METADATA),
    (r"kubernetes\.default.*|host\.docker\.internal|internal\.local|internal-.+\.company\.com", PRIVATE),
    # According to the tests of crawl4ai and Onyx.
    (r"(imds|link-local)\.attacker\.com|meta\.example|evil-redirect\.example", METADATA),
    (r"(loopback6?|unspecified)\.attacker\.com|(hook|mixed)\.example", LOOPBACK),
    (r"nat64\.example", "64:ff9b::7f00:1"),
)
# Services whose names contain the address.
IN_THE_NAME = re.compile(r"(?:.*[.-])?(\d+)[.-](\d+)[.-](\d+)[.-](\d+)\.(?:nip|xip)\.io", re.IGNORECASE)
# Addresses that the lists call public. Dialling any other one would be a hole.
ALLOWED = {
    PUBLIC,
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "104.16.0.1",
    "142.250.80.46",
    "2606:4700:4700::1111",
}
REFUSALS = (
    ("the address is not public", "refused: its address is not public"),
    ("its name cannot be resolved", "refused: no such name"),
    ("a user name", "refused: a user name in the address"),
    ("scheme", "refused: its scheme"),
    ("port", "refused: its port"),
    ("the address is not valid", "refused: not a valid address"),
)
PUBLIC_HOST = "leads to a public host"
REACHED = "dangerous: something inside is reached"


def addresses_in(folder: Path) -> list[str]:
    """Collect everything that looks like an address in a folder's text and Python files, each once."""
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in FILES:
            text = path.read_text("utf-8", "replace")
            found |= dict.fromkeys(_in_python(text) if path.suffix == ".py" else _in_text(text))
    return list(found)


def _in_text(text: str) -> Iterator[str]:
    yield from SPAN.findall(text)
    yield from (match.rstrip(".,;") for match in ADDRESS.findall(text))


def _in_python(source: str) -> Iterator[str]:
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if STRING.fullmatch(node.value):
                yield node.value
            elif address := _ip_address(node.value):
                yield f"http://[{address}]/" if ":" in address else f"http://{address}/"


def _ip_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def run(folder: Path) -> list[Result]:
    """Try each address of a folder, as written and as a crawl stores it."""
    return [result_of(address) for address in addresses_in(folder)]


def result_of(address: str) -> Result:
    """Fetch an address as a redirect names it and as a page does, also as if its port were allowed."""
    ways = [address]
    with suppress(ValueError):
        ways.append(normalised(address))
    tries = [attempt(way, resolve, any_port=any_port) for way in ways for any_port in (False, True)]
    dialled = {to for one in tries for to in one.dialled}
    if dialled - ALLOWED:
        return Result(f"{address} dials {dialled}", REACHED, lost=True)
    if dialled:
        return Result(next(one.asked[0] for one in tries if one.dialled), PUBLIC_HOST)
    return Result(address, next(name for begin, name in REFUSALS if tries[0].reason.startswith(begin)))


def resolve(host: str) -> list[str]:
    """Answer like a resolver: numbers in any spelling, and names according to the lists."""
    if address := numeric(host):
        return [address]
    if match := IN_THE_NAME.fullmatch(host):
        return [".".join(match.groups())]
    for pattern, address in NAMES:
        if re.fullmatch(pattern, host, re.IGNORECASE):
            return [address]
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        raise socket.gaierror(socket.EAI_NONAME, "no such domain")
    return [PUBLIC]
