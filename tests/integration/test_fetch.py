"""`fetch`: the addresses that it must never dial, hostile servers, and the page that it returns."""

import gzip
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests.adapters
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from documents.web import connections
from documents.web.errors import FetchError
from documents.web.fetch import Fetched, FetchSettings, fetch
from documents.web.urls import normalised
from mojodex.settings import SettingsError
from tests import ROOT
from tests.dns_server import DnsServer, dns_server, getaddrinfo_by
from tests.hostile_site import (
    HTML,
    PAGES,
    STATUSES,
    Page,
    Site,
    answer,
    hostile_site,
    raw,
    redirect,
    serve_pages,
)

SETTINGS = FetchSettings(contact_url="https://example.com/crawler", page_bytes_limit=5_000_000)
# AWS does not allow this setting.
ON_LOOPBACK = SETTINGS.model_copy(update={"fetch_loopback": True})
HTML_TYPES = ("text/html", "application/xhtml+xml")
# Loopback addresses that count as public, so that a test can serve a public site.
PUBLIC, PUBLIC_TOO = "127.0.0.2", "127.0.0.3"


def get(url: str, settings: FetchSettings = SETTINGS, **options: Any) -> Fetched:
    return fetch(settings, url, **{"slot": lambda host: nullcontext()} | options)


def failed(url: str, settings: FetchSettings = SETTINGS, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(url, settings, **options)
    return caught.value


# Lists that record every dial of the process. An audit hook cannot be removed again.
_listening: list[list[Any]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _listening:
        for heard in _listening:
            heard.append(arguments[1][:2])


sys.addaudithook(_hear)


@contextmanager
def dialled() -> Iterator[list[Any]]:
    heard: list[Any] = []
    _listening.append(heard)
    try:
        yield heard
    finally:
        _listening.remove(heard)


def public_page(path: str) -> Page:
    """Answer for the public site: with the redirect that the query names, or with a page."""
    asked = parse_qs(urlsplit(path).query)
    if "to" in asked:
        return redirect(asked["to"][0], status=f"{asked.get('status', ['302'])[0]} Found")
    return answer()


@dataclass
class Ground:
    """Canaries on 127.0.0.1 and ::1 that nothing may reach, a public site, and a resolver."""

    canaries: tuple[Site, Site]
    public: Site
    dns: DnsServer

    @property
    def port(self) -> int:
        return self.canaries[0].port

    @property
    def reached(self) -> int:
        return sum(canary.connections for canary in self.canaries)

    def go(self, to: str, status: int = 302, host: str = "public.test") -> str:
        """Return an address of the public site that redirects to `to`."""
        return f"http://{host}:{self.public.port}/go?status={status}&to={quote(to, safe='')}"


@pytest.fixture(scope="module")
def servers() -> Iterator[Ground]:
    with (
        serve_pages(lambda path: answer()) as canary,
        serve_pages(lambda path: answer(), host="::1", port=canary.port) as canary_too,
        serve_pages(public_page, host=PUBLIC) as public,
        dns_server() as dns,
    ):
        yield Ground((canary, canary_too), public, dns)


@pytest.fixture
def ground(servers: Ground, monkeypatch: pytest.MonkeyPatch) -> Ground:
    really_public = connections.is_public
    monkeypatch.setattr(connections, "PORTS", (80, 443, servers.port, servers.public.port))
    monkeypatch.setattr(
        connections, "is_public", lambda ip: str(ip) in (PUBLIC, PUBLIC_TOO) or really_public(ip)
    )
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo_by(servers.dns))
    servers.dns.records = {"public.test": [[PUBLIC]], "other.test": [[PUBLIC]]}
    servers.dns.broken.clear()
    servers.dns.asked.clear()
    for site in (*servers.canaries, servers.public):
        site.connections = 0
        site.heads.clear()
    return servers


# Addresses that must never be dialled.


@dataclass(frozen=True)
class Hostile:
    """An address that leads to a forbidden address.

    Attributes:
        url: {port} is the canary's, {site} is the public site's, and {go:…} is a redirect of that site.
        records: further records of the DNS server.
    """

    url: str
    records: dict[str, list[list[str] | str]] = field(default_factory=dict)


HOSTS = (
    # This machine, in decimal, octal, hexadecimal, short, long, and mixed.
    *(
        "127.0.0.1 127.1 127.0.1 127.1.2.3 127.255.255.254 2130706433 0x7f000001 0X7F000001",
        "0x7f.0.0.1 0x7f.1 0177.0.0.1 0177.1 017700000001 0000177.0.0.1 127.0x0.0.01",
        "127.000.000.001 0x7f.0.0.0x1 0 00 0x0 0.0.0.0 127.0.0.1. 2130706433. localhost LocalHost",
        "localhost. １２７.０.０.１ 127。0。0。1 127．0．0．1 ①②⑦.⓪.⓪.① ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "ｌｏｃａｌｈｏｓｔ ２１３０７０６４３３ 0ｘ7f000001 %31%32%37.0.0.1 127%2e0%2e0%2e1",
        "127.0.0.1%00.public.test %6cocalhost [::1] [0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::] [0::0] [::1%25lo] [::1%lo]",
    ),
    # The same inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
    *(
        "[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:127.0.0.1]",
        "[::ffff:0.0.0.0] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]",
        "[2001:0:7f00:1::] [2001::80ff:fffe] [2a00:1450::5efe:7f00:1]",
        "[2a00:1450::200:5efe:127.0.0.1]",
    ),
    # Metadata services of clouds, and their neighbours.
    *(
        "169.254.169.254 169.254.43518 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.170.2",
        "169.254.169.253 169.254.169.254. １６９.２５４.１６９.２５４ [::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe] [::a9fe:a9fe] [64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [fd00:ec2::254]",
        "[fd00:ec2::23] 100.100.100.200 168.63.129.16 192.0.0.192",
    ),
    # Other networks that are not public.
    *(
        "10.0.0.1 10.255.255.255 167772161 012.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1",
        "192.168.257 3232235521 100.64.0.1 100.127.255.254 169.254.1.1 192.0.0.1 192.0.2.1",
        "192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250",
        "240.0.0.1 255.255.255.255 0.1.2.3 [fe80::1] [fe80::1%25lo] [febf::1] [fec0::1] [fc00::1]",
        "[fd12:3456::1] [ff02::1] [ff0e::1] [2001:db8::1] [100::1] [100:0:0:1::1] [3fff::1]",
        "[5f00::1] [2001:2::1] [2001:10::1] [2001:20::1] [4000::1] [::ffff:8.8.8.8]",
        "[64:ff9b::8.8.8.8] [::ffff:10.0.0.1] [2002:a00:1::]",
    ),
)

SPELLINGS = (
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "ht\ntp://127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "http://user@127.0.0.1:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://public.test@127.0.0.1:{port}/",
    "http://public.test:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.test:{site}/",
    "http://public.test:{site}\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.test:{site}/",
    "http://127.0.0.1:{port}#@public.test:{site}/",
    "http://127.0.0.1:{port}?@public.test:{site}/",
    "http://127.0.0.1:{port}/@public.test:{site}/",
    "http://[public.test@127.0.0.1]:{port}/",
    "http://[::1]public.test:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://127.0.0.1:0{port}/",
    "http://127.0.0.1 public.test:{port}/",
    "http://public.test:22/",
    "http://public.test:6379/",
    "http://public.test:65536/",
    "http://public.test:-1/",
    "http://public.test:0x50/",
    "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "javascript:alert(1)",
    "data:text/html,hello",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "http://",
    "",
)

NAME = "http://name.test:{port}/"
ANSWERS: tuple[list[list[str] | str], ...] = (
    [["127.0.0.1"]],
    [["::1"]],
    [["127.0.0.1", "::1"]],
    [["0.0.0.0"]],
    [["::"]],
    [["169.254.169.254"]],
    [["10.0.0.1"]],
    [["fd00:ec2::254"]],
    [["::ffff:127.0.0.1"]],
    [["::127.0.0.1"]],
    [["64:ff9b::7f00:1"]],
    [["2002:7f00:1::"]],
    [["fec0::1"]],
    [["2a00:1450::5efe:7f00:1"]],
    # Some of its addresses are public.
    [[PUBLIC, "127.0.0.1"]],
    [["127.0.0.1", PUBLIC]],
    [[PUBLIC, "::1"]],
    [["::1", PUBLIC]],
    [[PUBLIC, PUBLIC_TOO, "10.0.0.1"]],
    [[PUBLIC, "fe80::1"]],
    # An alias.
    ["alias.test"],
    # Public only in the second answer.
    [["127.0.0.1"], [PUBLIC]],
)
NAMES = (
    Hostile("http://NAME.test:{port}/", {"name.test": [["127.0.0.1"]]}),
    Hostile("http://name.test.:{port}/", {"name.test": [["127.0.0.1"]]}),
    Hostile("http://bücher.test:{port}/", {"xn--bcher-kva.test": [["127.0.0.1"]]}),
    Hostile("http://xn--bcher-kva.test:{port}/", {"xn--bcher-kva.test": [["127.0.0.1"]]}),
    Hostile("http://ｎａｍｅ。test:{port}/", {"name.test": [["127.0.0.1"]]}),
    Hostile("http://127.0.0.1.name.test:{port}/", {"127.0.0.1.name.test": [["127.0.0.1"]]}),
    Hostile("https://name.test:{port}/", {"name.test": [["::1"]]}),
    Hostile(NAME, {"name.test": ["a.test"], "a.test": ["b.test"], "b.test": [["127.0.0.1"]]}),
    Hostile(NAME, {"name.test": ["a.test"], "a.test": [[PUBLIC, "::1"]]}),
)

TARGETS = (
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "//localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0177.1:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://[::1]:{port}/",
    "//[::ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://name.test:{port}/",
    "//name.test:{port}/",
    "http://public.test@127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://127.0.0.1:22/",
    "http://public.test:22/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
)
LOOPBACK_NAME: dict[str, list[list[str] | str]] = {"name.test": [["127.0.0.1"]]}
REDIRECTED = (
    *(Hostile(f"{{go:302 {target}}}", LOOPBACK_NAME) for target in TARGETS),
    *(Hostile(f"{{go:{status} http://127.0.0.1:{{port}}/}}") for status in (301, 303, 307, 308)),
    *(Hostile(f"{{go:{status} //name.test:{{port}}/}}", LOOPBACK_NAME) for status in (301, 303, 307, 308)),
    # Through one more allowed address, absolute and relative.
    Hostile("{go:302 {go:301 http://127.0.0.1:{port}/}}"),
    Hostile("{go:307 {go:308 //name.test:{port}/}}", LOOPBACK_NAME),
    Hostile("{go:302 /go?status=302&to=http%3A%2F%2F127.0.0.1:{port}%2F}"),
    Hostile("{go:302 ?status=301&to=%2F%2Flocalhost:{port}%2F}"),
    # The same name again, which now has another address.
    Hostile("http://name.test:{site}/go?to=%2F", {"name.test": [[PUBLIC], ["127.0.0.1"]]}),
    Hostile("http://name.test:{site}/go?to=%2F", {"name.test": [[PUBLIC], ["::1"]]}),
)

TABLE = (
    *(Hostile(f"http://{host}:{{port}}/") for hosts in HOSTS for host in hosts.split()),
    *(Hostile(f"http://{host}/") for host in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254")),
    *map(Hostile, SPELLINGS),
    *(Hostile(NAME, {"name.test": found, "alias.test": [["127.0.0.1"]]}) for found in ANSWERS),
    *NAMES,
    *REDIRECTED,
)
REFUSALS = (
    "the address is not public",
    "the address is not valid",
    "its name cannot be resolved",
    "a user name in the address is not allowed",
)


def written_out(ground: Ground, url: str) -> str:
    """Return the URL of a case, with its redirects filled in from the innermost one."""
    url = url.replace("{port}", str(ground.port)).replace("{site}", str(ground.public.port))
    while "{go:" in url:
        before, _, inner = url.rpartition("{go:")
        inner, _, after = inner.partition("}")
        status, _, target = inner.partition(" ")
        url = before + ground.go(target, int(status)) + after
    return url


@pytest.mark.parametrize("hostile", TABLE, ids=[f"{n}-{case.url!a}" for n, case in enumerate(TABLE)])
def test_nothing_that_is_not_public_is_dialled(ground: Ground, hostile: Hostile) -> None:
    ground.dns.records |= hostile.records

    with dialled() as addresses:
        error = failed(written_out(ground, hostile.url))

    assert ground.reached == 0
    assert {host for host, port in addresses if port != ground.dns.port} <= {PUBLIC}
    assert error.reason in REFUSALS or error.reason.endswith("is not allowed")
    assert not error.again


def test_the_table_has_enough_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(TABLE) == len({(case.url, json.dumps(case.records)) for case in TABLE})
    assert len(TABLE) >= 80
    with capsys.disabled():
        print(f"\n{len(TABLE)} hostile addresses, DNS answers and redirects")  # noqa: T201


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0177.1", "localhost", "0x7f.1", "[::1]", "name.test", "[::ffff:7f00:1]"],
)
def test_the_canary_could_be_reached(ground: Ground, host: str) -> None:
    ground.dns.records["name.test"] = [["127.0.0.1"]]

    assert get(f"http://{host}:{ground.port}/", ON_LOOPBACK).body == HTML

    assert ground.reached == 1


def test_the_canary_could_be_reached_by_a_redirect(ground: Ground) -> None:
    assert get(ground.go(f"http://127.0.0.1:{ground.port}/"), ON_LOOPBACK).body == HTML

    assert ground.reached == 1


def test_without_the_check_of_addresses_the_canary_is_reached(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "is_public", lambda ip: ip.is_loopback)

    for host in ("127.0.0.1", "2130706433", "localhost"):
        get(f"http://{host}:{ground.port}/")
    get(ground.go(f"http://127.0.0.1:{ground.port}/"))

    assert ground.reached == 4


def test_the_address_that_was_checked_is_dialled(ground: Ground) -> None:
    # The first answer is public; the next one is the canary.
    ground.dns.records["name.test"] = [[PUBLIC], ["127.0.0.1"]]

    with dialled() as addresses:
        assert get(f"http://name.test:{ground.public.port}/").body == HTML

    assert ground.reached == 0
    assert {host for host, port in addresses if port != ground.dns.port} == {PUBLIC}
    assert ground.dns.asked == {("name.test", "A"): 1, ("name.test", "AAAA"): 1}


def test_allowing_loopback_allows_nothing_else(ground: Ground) -> None:
    ground.dns.records["name.test"] = [["127.0.0.1", "10.0.0.1"]]

    for host in ("10.0.0.1", "169.254.169.254", "[fe80::1]", "0.0.0.0", "192.168.0.1", "name.test"):
        assert failed(f"http://{host}:{ground.port}/", ON_LOOPBACK).reason == "the address is not public"
    # A public address: only loopback may use any port.
    ground.dns.records["name.test"] = [["2a00:1450::1"]]
    assert failed("http://name.test:8080/", ON_LOOPBACK).reason == "port 8080 is not allowed"

    assert ground.reached == 0


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("1.1.1.1", True),
        ("93.184.215.14", True),
        ("172.32.0.1", True),
        ("100.128.0.1", True),
        ("2606:4700::1111", True),
        ("2a00:1450:4001:82b::200e", True),
        ("2001:4860:4860::8888", True),
        # Not ISATAP: one bit differs.
        ("2600::5eff:808:808", True),
        ("2600::5efe:808:808", False),
        ("2001:1ff::1", False),
        ("2001:20::1", False),
        ("2001:4:112::1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("172.31.0.1", False),
        ("fec0::1", False),
    ],
)
def test_private_and_special_addresses_are_not_public(address: str, public: bool) -> None:
    assert connections.is_public(ipaddress.ip_address(address)) is public


LABEL = "a" * 63


@pytest.mark.parametrize(
    ("url", "reason", "unwanted"),
    [
        ("gopher://example.com/", "scheme gopher is not allowed", True),
        (f"{'x' * 21}://example.com/", f"scheme {'x' * 20} is not allowed", True),
        ("http://user@example.com/", "a user name in the address is not allowed", True),
        ("http://example.com:8080/", "port 8080 is not allowed", True),
        ("http://example.com%00.org/", "the address is not valid", False),
        ("http://[::1%25lo]/", "the address is not valid", False),
        ("http://*.example.com/", "the address is not valid", False),
        ("http://:80/", "the address is not valid", False),
        (f"http://{LABEL}.{LABEL}.{LABEL}.{'a' * 62}/", "the address is not valid", False),
    ],
)
def test_an_address_is_refused_before_a_host_slot_is_taken(url: str, reason: str, unwanted: bool) -> None:
    error = failed(url, slot=lambda host: pytest.fail(f"{host} has a slot"))

    assert (error.reason, error.unwanted) == (reason, unwanted)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://example.com/",
            "https://example.com/",
            "http://example.com:80/",
            "https://example.com:443/",
        ),
        f"http://{LABEL}.{LABEL}.{LABEL}.{'a' * 61}/",
    ],
)
def test_an_address_of_a_website_takes_a_slot_of_its_host(url: str) -> None:
    class SlotError(Exception):
        """Instead of the request."""

    def slot(host: str) -> Any:
        assert host == urlsplit(url).hostname
        raise SlotError

    with pytest.raises(SlotError):
        get(url, slot=slot)


def test_an_address_that_is_not_public_is_marked_as_unwanted() -> None:
    assert failed("http://127.0.0.1/").unwanted


# Redirects.


def test_the_caller_may_refuse_each_redirect(ground: Ground) -> None:
    asked: list[str] = []

    def may_follow(url: str) -> bool:
        asked.append(url)
        return urlsplit(url).hostname != "other.test"

    there = f"http://other.test:{ground.public.port}/x"
    error = failed(ground.go(ground.go(there)), may_follow=may_follow)

    assert error.reason == "it redirects to another site (other.test)"
    assert asked == [ground.go(there), there]
    assert len(ground.public.heads) == 2


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/b", "/b"),
        ("b?c=d", "/b?c=d"),
        ("../b", "/b"),
        ("?q", "/go?q"),
        ("/b#part", "/b"),
        ("/é ü", "/%C3%A9%20%C3%BC"),
        ("/%C3%A9", "/%C3%A9"),
        ("//other.test:{site}/b", "/b"),
        ("http://OTHER.test:{site}/b", "/b"),
    ],
)
def test_a_location_may_be_absolute_or_relative(ground: Ground, location: str, path: str) -> None:
    fetched = get(ground.go(location.replace("{site}", str(ground.public.port))))

    assert ground.public.paths[1:] == [path]
    host = "other.test" if "//" in location else "public.test"
    assert fetched.url == f"http://{host}:{ground.public.port}{path}"


def test_a_location_may_be_in_latin_1() -> None:
    head = "HTTP/1.1 302 Found\r\nLocation: /é\r\n\r\n".encode("latin-1")

    with serve_pages(lambda path: raw(head) if path == "/" else answer()) as site:
        assert get(site.url + "/", ON_LOOPBACK).url == f"{site.url}/%C3%A9"


@pytest.mark.parametrize("count", [5, 6])
def test_at_most_five_redirects_are_followed(ground: Ground, count: int) -> None:
    url = f"http://public.test:{ground.public.port}/end"
    for _ in range(count):
        url = ground.go(url)

    if count == 5:
        assert get(url).url.endswith("/end")
    else:
        assert failed(url).reason == "more than 5 redirects"
    assert len(ground.public.heads) == 6


def test_each_request_takes_a_host_slot(ground: Ground) -> None:
    slots: list[str] = []

    @contextmanager
    def slot(host: str) -> Iterator[None]:
        slots.append(f"begin {host}")
        yield
        slots.append(f"end {host}")

    get(ground.go(f"http://OTHER.test:{ground.public.port}/"), slot=slot)

    assert slots == ["begin public.test", "end public.test", "begin other.test", "end other.test"]


def test_waiting_for_a_host_slot_does_not_count_as_fetching_time(ground: Ground) -> None:
    @contextmanager
    def slot(_host: str) -> Iterator[None]:
        time.sleep(0.6)
        yield

    assert get(f"http://public.test:{ground.public.port}/", slot=slot, seconds=0.5).body == HTML


def test_an_error_of_the_host_slot_is_raised(ground: Ground) -> None:
    def slot(_host: str) -> Any:
        raise KeyError("no slot")

    with pytest.raises(KeyError):
        get(f"http://public.test:{ground.public.port}/", slot=slot)
    assert ground.public.connections == 0


# Hostile servers.


@pytest.fixture(scope="module")
def hostile() -> Iterator[Site]:
    with hostile_site() as site:
        yield site


BROKE = ("the connection broke", True)
TOO_LATE = ("it takes too long", False)
TOO_LARGE = ("larger than 5000000 bytes", False)
NOT_HTTP = ("its answer is not HTTP", False)
NOT_DECODED = ("its content cannot be decoded", False)
UNKNOWN_CODING = ("its content encoding is not known", False)

OUTCOMES: dict[str, tuple[str, bool] | None] = {
    "/": None,
    "/silent": TOO_LATE,
    "/slow-status": TOO_LATE,
    "/slow-headers": TOO_LATE,
    "/slow-body": TOO_LATE,
    "/slow-sized-body": TOO_LATE,
    "/slow-chunks": TOO_LATE,
    "/slow-gzip": TOO_LATE,
    "/endless-continue": TOO_LATE,
    "/endless-trailers": TOO_LATE,
    "/endless-body": TOO_LARGE,
    "/endless-chunks": TOO_LARGE,
    "/endless-headers": NOT_HTTP,
    "/endless-header": NOT_HTTP,
    "/endless-status": NOT_HTTP,
    "/endless-chunk-size": BROKE,
    "/endless-empty-gzip": TOO_LARGE,
    "/large": TOO_LARGE,
    "/large-sized": TOO_LARGE,
    "/gzip-bomb": TOO_LARGE,
    "/deflate-bomb": TOO_LARGE,
    "/bare-deflate-bomb": TOO_LARGE,
    "/nested-gzip": UNKNOWN_CODING,
    "/redirect-with-bomb": None,
    "/redirect-with-endless-body": None,
    "/broken-chunks": BROKE,
    "/cut-chunks": BROKE,
    "/cut-gzip": NOT_DECODED,
    "/not-gzip": NOT_DECODED,
    "/unknown-coding": UNKNOWN_CODING,
    "/reset": BROKE,
    "/closed-at-once": BROKE,
    "/bad-header": None,
    "/noise": NOT_HTTP,
    "/too-short": BROKE,
    "/two-lengths": NOT_HTTP,
    "/circle": ("it redirects in a circle", False),
    "/circle-2": ("it redirects in a circle", False),
    "/itself": ("it redirects in a circle", False),
    "/chain/1": ("more than 5 redirects", False),
    "/nowhere": ("the page answers 302", False),
    "/bad-location": ("the address is not valid", False),
    "/to-mailto": ("scheme mailto is not allowed", False),
    "/to-file": ("scheme file is not allowed", False),
    "/to-javascript": ("scheme javascript is not allowed", False),
    "/to-ftp": ("scheme ftp is not allowed", False),
    "/text": ("type text/plain", False),
    "/pdf": ("type application/pdf", False),
    "/endless-pdf": ("type application/pdf", False),
    "/no-type": None,
    "/no-type-no-html": ("type unknown", False),
    "/cookie": None,
    "/cookie-2": None,
} | {
    f"/status/{code}": (f"the page answers {code}", code in (408, 425, 429, 500, 502, 503))
    for code in STATUSES
}


def test_every_hostile_page_is_fetched() -> None:
    assert set(PAGES) <= set(OUTCOMES)


@pytest.mark.parametrize("path", OUTCOMES)
def test_a_hostile_page_is_read_or_fails_with_its_reason(hostile: Site, path: str) -> None:
    begin = time.monotonic()
    seconds = 1 if OUTCOMES[path] == TOO_LATE else 20

    if (outcome := OUTCOMES[path]) is None:
        assert get(hostile.url + path, ON_LOOPBACK, media_types=HTML_TYPES).status == 200
    else:
        error = failed(hostile.url + path, ON_LOOPBACK, media_types=HTML_TYPES, seconds=seconds)
        assert (error.reason, error.again) == outcome
        assert error.status == (int(path.rpartition("/")[2]) if "/status/" in path else error.status)
        assert "http" not in error.reason

    assert time.monotonic() - begin < 15


def test_the_time_limit_covers_all_redirects_together() -> None:
    def page(path: str) -> Page:
        def later(connection: socket.socket, site: Site) -> None:
            site.done.wait(0.4)
            redirect(f"{path}x")(connection, site)

        return later

    with serve_pages(page) as site:
        assert failed(site.url + "/", ON_LOOPBACK, seconds=1).reason == "it takes too long"
        assert len(site.heads) <= 3


def test_a_caller_may_set_its_own_size_limit(hostile: Site) -> None:
    assert failed(hostile.url + "/", ON_LOOPBACK, bytes_limit=len(HTML) - 1).reason == "larger than 11 bytes"
    assert get(hostile.url + "/", ON_LOOPBACK, bytes_limit=len(HTML)).body == HTML


def test_a_304_to_a_request_without_an_etag_fails() -> None:
    with serve_pages(lambda path: answer(b"", status="304 Not Modified")) as site:
        assert failed(site.url, ON_LOOPBACK).reason == "the page answers 304"


def test_a_refused_connection_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"

    error = failed(url, ON_LOOPBACK)

    assert (error.reason, error.again) == ("the connection was refused", True)


def test_a_connection_attempt_without_an_answer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.3)
    # A listener with a full queue drops new connections.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        error = failed(f"http://127.0.0.1:{full.getsockname()[1]}/", ON_LOOPBACK)
        late = failed(f"http://127.0.0.1:{full.getsockname()[1]}/", ON_LOOPBACK, seconds=0.1)

        for one in waiting:
            one.close()
    assert (error.reason, error.again) == ("it does not answer in time", True)
    assert (late.reason, late.again) == ("it takes too long", False)


def test_a_broken_resolver_may_be_tried_again_and_a_missing_name_may_not(ground: Ground) -> None:
    ground.dns.broken.add("broken.test")

    missing, broken = failed("http://missing.test/"), failed("http://broken.test/")

    assert (missing.reason, missing.again) == ("its name cannot be resolved", False)
    assert (broken.reason, broken.again) == ("its name cannot be resolved", True)
    assert failed(f"http://{'a' * 64}.example/").reason == "the address is not valid"


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("straße.test", "xn--strae-oqa.test"),
        ("☕.test", "xn--53h.test"),
        ("pub%6cic.test", "public.test"),
        ("PUBLIC。test", "public.test"),
    ],
)
def test_a_host_is_written_the_same_in_a_link_a_redirect_and_a_request(
    ground: Ground, host: str, asked: str
) -> None:
    ground.dns.records[asked] = [[PUBLIC]]
    url = f"http://{host}:{ground.public.port}/"

    expected = f"http://{asked}:{ground.public.port}/"
    assert normalised(url) == expected
    assert get(url).url == expected
    assert get(ground.go(url)).url == expected


MEASURE = """
import json, sys
from contextlib import nullcontext
from documents.web.errors import FetchError
from documents.web.fetch import FetchSettings, fetch

settings = FetchSettings(contact_url="https://example.com", page_bytes_limit=5_000_000, fetch_loopback=True)

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

def reason(url):
    try:
        fetch(settings, url, slot=lambda host: nullcontext())
    except FetchError as error:
        return error.reason

reason(sys.argv[1] + "/")
measured = {}
for path in sys.argv[2:]:
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = kilobytes("VmRSS")
    measured[path] = reason(sys.argv[1] + path), kilobytes("VmHWM") - before
print(json.dumps(measured))
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
)
def test_bombs_cost_no_memory(hostile: Site, capsys: pytest.CaptureFixture[str]) -> None:
    bombs = [
        *("/gzip-bomb", "/deflate-bomb", "/bare-deflate-bomb", "/nested-gzip", "/endless-empty-gzip"),
        *("/large", "/large-sized", "/endless-body", "/endless-chunks", "/redirect-with-bomb"),
        *("/endless-header", "/endless-chunk-size", "/redirect-with-endless-body"),
    ]
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, hostile.url, *bombs],
        env=os.environ
        | {"AWS_ENDPOINT_URL": "http://127.0.0.1", "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'shared'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    measured = json.loads(run.stdout)
    with capsys.disabled():
        print("\npeak memory in kB:", {path: grown for path, (_, grown) in measured.items()})  # noqa: T201
    for path, (reason, grown) in measured.items():
        assert reason == (OUTCOMES[path] or (None,))[0]
        assert grown < 6_000, path


# Certificates.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Make a self-signed certificate of secure.test and a TLS context that serves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


def test_a_certificate_is_verified(
    ground: Ground, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, context = certificate
    ground.dns.records |= {"secure.test": [["127.0.0.1"]], "another.test": [["127.0.0.1"]]}
    with hostile_site(tls=context) as site:
        unknown = failed(f"https://secure.test:{site.port}/", ON_LOOPBACK)
        # As if certifi knew it.
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(path))
        known = get(f"https://secure.test:{site.port}/", ON_LOOPBACK)
        with_dot = get(f"https://secure.test.:{site.port}/", ON_LOOPBACK)
        of_another = failed(f"https://another.test:{site.port}/", ON_LOOPBACK)
        slow = failed(f"https://secure.test:{site.port}/slow-body", ON_LOOPBACK, seconds=1)
        bomb = failed(f"https://secure.test:{site.port}/gzip-bomb", ON_LOOPBACK)

    assert (unknown.reason, unknown.again) == ("its certificate is not valid", False)
    assert known.body == with_dot.body == HTML
    assert of_another.reason == "its certificate is not valid"
    assert (slow.reason, bomb.reason) == (TOO_LATE[0], TOO_LARGE[0])


def test_no_environment_can_make_a_certificate_valid(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, context = certificate
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(path))
    with hostile_site(tls=context) as site:
        assert failed(f"{site.url}/", ON_LOOPBACK).reason == "its certificate is not valid"


def test_https_fails_on_a_server_without_tls(hostile: Site) -> None:
    with serve_pages(lambda path: answer()) as site:
        never = failed(f"https://127.0.0.1:{site.port}/", ON_LOOPBACK, seconds=1)
    assert never.reason == "it takes too long"

    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(10_000)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        error = failed(f"https://127.0.0.1:{server.getsockname()[1]}/", ON_LOOPBACK)
        thread.join(5)
    assert (error.reason, error.again) == ("a secure connection is not possible", False)


# The fetched page.


def page_with(*headers: str, body: bytes = HTML, content_type: str = "text/html") -> Callable[[str], Page]:
    return lambda path: answer(body, *headers, content_type=content_type)


def test_a_page_is_returned_with_its_type_charset_and_etag(ground: Ground) -> None:
    with serve_pages(page_with('ETag: W/"a1"', content_type="Text/HTML; Charset=ISO-8859-1")) as site:
        fetched = get(f"{site.url}/a?b=c#d", ON_LOOPBACK, media_types=HTML_TYPES)

    assert fetched == Fetched(f"{site.url}/a?b=c", 200, "text/html", "ISO-8859-1", HTML, 'W/"a1"')
    head = site.heads[0].split("\r\n")
    assert head[0] == "GET /a?b=c HTTP/1.1"
    assert sorted(head[1:-2]) == [
        "Accept-Encoding: gzip, deflate",
        "Accept: text/html, application/xhtml+xml",
        "Connection: close",
        f"Host: 127.0.0.1:{site.port}",
        "User-Agent: MojodexBackground/1.0 (+https://example.com/crawler)",
    ]


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate", "bare deflate", "identity", "chunked gzip"])
@pytest.mark.parametrize("size", [0, 1, 300_000, 4_999_999])
def test_a_body_is_decoded(coding: str, size: int) -> None:
    body = (b"<p>" + os.urandom(500) * 10_000)[:size] if size < 4_000_000 else b"0" * size
    packed = {
        "deflate": lambda: zlib.compress(body),
        "bare deflate": lambda: zlib.compress(body, wbits=-15),
        "identity": lambda: body,
    }.get(coding, lambda: gzip.compress(body))()

    def page(_path: str) -> Page:
        if coding != "chunked gzip":
            return answer(packed, f"Content-Encoding: {coding.removeprefix('bare ')}")
        parts = [packed[n : n + 7001] for n in range(0, len(packed), 7001)]
        chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"
        return answer(chunks, "Content-Encoding: gzip", "Transfer-Encoding: chunked", length=False)

    with serve_pages(page) as site:
        assert get(site.url, ON_LOOPBACK).body == body


def test_a_page_with_a_known_etag_is_not_sent_again() -> None:
    def page(_path: str) -> Page:
        if 'If-None-Match: "a"' in site.heads[-1]:
            return answer(b"", 'ETag: "a"', status="304 Not Modified", length=False)
        return answer(HTML, 'ETag: "a"')

    with serve_pages(page) as site:
        first = get(site.url, ON_LOOPBACK)
        second = get(site.url, ON_LOOPBACK, etag=first.etag, media_types=HTML_TYPES)
        changed = get(site.url, ON_LOOPBACK, etag='"b"')

    assert (first.status, first.etag) == (200, '"a"')
    assert (second.status, second.body, second.etag) == (304, b"", '"a"')
    assert (changed.status, changed.body) == (200, HTML)


@pytest.mark.parametrize("etag", ["a", '"a', '"' + "a" * 300 + '"', '"a" "b"', '"\x01"', "", "*"])
def test_an_invalid_etag_is_ignored(etag: str) -> None:
    with serve_pages(page_with(f"ETag: {etag}")) as site:
        assert get(site.url, ON_LOOPBACK).etag is None


@pytest.mark.parametrize(
    ("content_type", "media_type", "charset"),
    [
        ("text/html", "text/html", None),
        ("text/html;charset='utf-8'", "text/html", "utf-8"),
        ('TEXT/HTML ; charset = "UTF-8"', "text/html", "UTF-8"),
        ("text/html, text/html", "text/html", None),
        ("application/xhtml+xml; q=1; charset=big5", "application/xhtml+xml", "big5"),
        ("nonsense", "", None),
        ("", "", None),
    ],
)
def test_a_content_type_gives_a_media_type_and_a_charset(
    content_type: str, media_type: str, charset: str | None
) -> None:
    with serve_pages(page_with(content_type=content_type)) as site:
        fetched = get(site.url, ON_LOOPBACK, media_types=HTML_TYPES)

    assert (fetched.media_type, fetched.charset) == (media_type, charset)


def test_a_missing_type_is_accepted_where_no_html_is_wanted() -> None:
    with serve_pages(page_with(body=b"User-agent: *", content_type="")) as site:
        assert get(site.url, ON_LOOPBACK, media_types=("text/plain",)).media_type == ""
        assert get(site.url, ON_LOOPBACK).body == b"User-agent: *"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
def test_html_without_a_type_is_recognised_in_each_unicode_encoding(encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    with serve_pages(page_with(body=mark + "\n<p>".encode(encoding), content_type="")) as site:
        assert get(site.url, ON_LOOPBACK, media_types=HTML_TYPES).status == 200


def test_a_site_may_have_an_ipv6_address() -> None:
    with serve_pages(page_with(), host="::1") as site:
        assert get(site.url, ON_LOOPBACK).body == HTML
    assert f"Host: [::1]:{site.port}\r\n" in site.heads[0]


@pytest.mark.parametrize("dead", [PUBLIC_TOO, "::1"])
def test_after_a_dead_address_the_next_one_is_tried(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    monkeypatch.setattr(connections, "is_public", lambda ip: str(ip) in (PUBLIC, dead))
    ground.dns.records["two.test"] = [[dead, PUBLIC]]

    with dialled() as addresses:
        assert get(f"http://two.test:{ground.public.port}/").body == HTML

    # IPv4 is tried first.
    tried = [host for host, port in addresses if port == ground.public.port]
    assert tried == ([PUBLIC] if dead == "::1" else [dead, PUBLIC])


def test_many_pages_can_be_fetched_at_once(ground: Ground) -> None:
    with serve_pages(lambda path: answer(path.encode())) as site, ThreadPoolExecutor(20) as threads:
        urls = [f"{site.url}/{n}" for n in range(200)]
        bodies = list(threads.map(lambda url: get(url, ON_LOOPBACK).body, urls))

    assert bodies == [f"/{n}".encode() for n in range(200)]


def test_no_thread_or_socket_leaks(hostile: Site) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if isinstance(thread, threading.Timer)]

    paths = ("/", "/pdf", "/reset", "/gzip-bomb", "/redirect-with-bomb")
    for _ in range(2):
        before = files()
        for _ in range(10):
            for path in paths:
                if OUTCOMES[path]:
                    failed(hostile.url + path, ON_LOOPBACK, media_types=HTML_TYPES)
                else:
                    get(hostile.url + path, ON_LOOPBACK)
        time.sleep(0.2)

    assert files() < before + 10
    assert threads() == []


# Data that is never sent.


def test_no_cookie_is_kept_or_sent(hostile: Site) -> None:
    hostile.heads.clear()

    get(f"{hostile.url}/cookie", ON_LOOPBACK)
    get(f"{hostile.url}/cookie-2", ON_LOOPBACK)

    assert hostile.paths == ["/cookie", "/cookie-2", "/cookie-2"]
    assert "cookie:" not in "".join(hostile.heads).lower()
    assert "referer" not in "".join(hostile.heads).lower()


def test_proxies_and_passwords_of_the_environment_are_ignored(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{ground.port}")
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    get(ground.go(f"http://other.test:{ground.public.port}/"))

    assert ground.reached == 0
    assert "authorization" not in "".join(ground.public.heads).lower()


def test_nothing_is_logged(ground: Ground, hostile: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    failed(f"http://127.0.0.1:{ground.port}/")
    failed("http://missing.test/")
    for path in ("/reset", "/noise", "/gzip-bomb", "/status/500"):
        failed(hostile.url + path, ON_LOOPBACK)
    get(hostile.url + "/bad-header?secret", ON_LOOPBACK)

    assert caplog.records == []


# Settings.

ENVIRONMENT = {"CONTACT_URL": "https://example.com", "PAGE_BYTES_LIMIT": "5000000", "FETCH_LOOPBACK": "true"}


@pytest.mark.parametrize(
    "endpoint", [None, "", "https://sqs.us-east-1.amazonaws.com", "http://127.0.0.1.example.com"]
)
def test_loopback_cannot_be_allowed_on_aws(endpoint: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if endpoint is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    with pytest.raises(SettingsError, match=r"FETCH_LOOPBACK: .*is for local runs only"):
        FetchSettings.from_environment(ENVIRONMENT)


def test_loopback_can_be_allowed_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    assert FetchSettings.from_environment(ENVIRONMENT).fetch_loopback


def test_on_aws_loopback_may_be_forbidden_explicitly() -> None:
    assert not FetchSettings.from_environment(ENVIRONMENT | {"FETCH_LOOPBACK": "false"}).fetch_loopback


def test_loopback_is_forbidden_by_default() -> None:
    settings = FetchSettings.from_environment(ENVIRONMENT | {"FETCH_LOOPBACK": ""})

    assert settings == SETTINGS.model_copy(update={"contact_url": "https://example.com"})
    assert failed("http://127.0.0.1/", settings).reason == "the address is not public"
