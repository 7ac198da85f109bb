"""The bench that runs others' test cases reads them correctly and notices each fault."""

import re
from pathlib import Path
from typing import Any

import pytest

from bench.suites import AS_EXPECTED, attempts, robotstxt, ssrf, wpt
from documents.web import connections, robots

SOURCE = r"""
TEST(Suite, Short_Rules) {
  const absl::string_view text =
      "user-agent: OurBot\n"
      "disallow: /a\n";
  static const char more[] = "user-agent: OurBot/2\r\ndisallow: \"\r\n";
  EXPECT_FALSE(IsUserAgentAllowed(text, "OurBot", "http://x.example/a"));
  EXPECT_TRUE(
      IsUserAgentAllowed(more, "OurBot",
                         "http://x.example/b"));
  EXPECT_TRUE(IsUserAgentAllowed(text, "Our Bot", "http://x.example/a"));
  absl::StrAppend(&text, "disallow: /b\n");
  EXPECT_FALSE(IsUserAgentAllowed(text, "OurBot", "http://x.example/b"));
  EXPECT_EQ(1, lines(text));
}
"""


def test_cases_are_read_from_cplusplus_and_unreadable_ones_are_counted() -> None:
    cases, unknown = robotstxt.cases_of(SOURCE)

    assert [(case.url[-2:], case.allowed) for case in cases] == [("/a", False), ("/b", True), ("/a", True)]
    assert cases[1].text == 'user-agent: OurBot/2\r\ndisallow: "\r\n'
    assert unknown == 2


@pytest.mark.parametrize(("allowed", "lost"), [(False, False), (True, True)])
def test_a_robots_txt_case_is_tested_with_our_name(allowed: bool, lost: bool) -> None:
    case = robotstxt.Case(
        "Rules", "User-Agent: ourbot/1\nDisallow: /", "OurBot", "http://x.example/", allowed
    )

    assert robotstxt.result_of(case).lost is lost


def test_a_parser_that_obeys_no_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "FIELD", re.compile("$."))

    assert robotstxt.result_of(robotstxt.cases_of(SOURCE)[0][0]).outcome == "lost: allowed"


def case(link: str, href: str, **parts: str) -> dict[str, Any]:
    usual = {"protocol": "https:", "hostname": "x.example", "port": "", "pathname": "/", "search": ""}
    more = {"username": "", "password": "", "base": "https://x.example/b", "input": link, "href": href}
    return usual | more | parts


@pytest.mark.parametrize(
    ("link", "parts", "outcome"),
    [
        ("c?d", {"pathname": "/c", "search": "?d"}, AS_EXPECTED),
        ("/ä|", {"pathname": "/%C3%A4|"}, AS_EXPECTED),
        ("http://X.example:80/", {"protocol": "http:"}, AS_EXPECTED),
        ("https://0300.0.0x2.1/", {"hostname": "192.0.2.1"}, AS_EXPECTED),
        ("//a:b@x.example/", {}, "on purpose, refused: a user name in the address"),
        ("//x.example:0/", {"port": "0"}, "on purpose, refused: port 0"),
        ("//(x).example/", {"hostname": "(x).example"}, "on purpose, refused: no name that DNS can have"),
        ("mailto:a", {}, "lost: refused"),
        ("/c", {"pathname": "/d"}, "lost: another path"),
        ("/?c", {"search": "?d"}, "lost: another query"),
        ("//x.example:8080/", {"port": "80"}, "lost: another port"),
        ("//y.example/", {}, wpt.ANOTHER_HOST),
    ],
)
def test_a_link_is_compared_with_the_address_that_browsers_make_of_it(
    link: str, parts: dict[str, str], outcome: str
) -> None:
    assert wpt.result_of(case(link, "", **parts)).outcome == outcome


def test_a_request_to_another_host_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.web.fetch.netloc", lambda parts: "inside.example")

    assert wpt.result_of(case("/", "")).outcome == wpt.ANOTHER_HOST


@pytest.mark.parametrize(
    ("link", "lost"), [("https://x y.example/", False), ("https://300.1.1.1/", False), ("/c", True)]
)
def test_a_link_that_browsers_refuse_must_not_be_looked_up(link: str, lost: bool) -> None:
    failing = {"input": link, "base": "https://x.example/", "failure": True}

    assert wpt.result_of_failure(failing).lost is lost


@pytest.mark.parametrize(
    ("name", "expected", "lost"),
    [("größe.example", "xn--gre-6ka8i.example", False), ("a b", None, False), ("größe.example", None, True)],
)
def test_a_name_is_compared_in_ascii(name: str, expected: str | None, lost: bool) -> None:
    assert wpt.result_of_name(name, expected).lost is lost


def test_addresses_are_collected_from_text_and_python(tmp_path: Path) -> None:
    (tmp_path / "list.md").write_text("See `http://1.1.1.1 &@2.2.2.2/`, gopher://x.example:70/_a.\nNo: note")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "test_x.py").write_text(
        'assert blocked("10.0.0.1") and blocked("::1")\nURL = "http://[::1]/"\nTEXT = "see http://y.example/"\n'
    )
    (tmp_path / "data.bin").write_text("http://z.example/")

    assert set(ssrf.addresses_in(tmp_path)) == {
        *("http://10.0.0.1/", "http://[::1]/"),
        *("http://1.1.1.1 &@2.2.2.2/", "http://1.1.1.1", "gopher://x.example:70/_a"),
    }


@pytest.mark.parametrize(
    ("address", "outcome"),
    [
        ("http://127.0.0.1/", "refused: its address is not public"),
        ("http://0x7f.1/", "refused: its address is not public"),
        ("http://a.10.0.0.1.nip.io/", "refused: its address is not public"),
        ("http://LocalHost/", "refused: its address is not public"),
        ("http://localhost:22/", "refused: its port"),
        ("http://x.example@localhost/", "refused: a user name in the address"),
        ("dict://localhost/", "refused: its scheme"),
        ("http://x.example.1/", "refused: not a valid address"),
        ("http://x.example/", ssrf.PUBLIC_HOST),
        ("http://8.8.8.8/", ssrf.PUBLIC_HOST),
    ],
)
def test_an_address_is_refused_with_its_reason(address: str, outcome: str) -> None:
    assert ssrf.result_of(address).outcome == outcome


@pytest.mark.parametrize("address", ["http://10.0.0.1/", "http://metadata/", "http://localhost:22/"])
def test_a_connection_to_an_internal_address_is_noticed(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(connections, "is_public", lambda address: True)

    assert ssrf.result_of(address).outcome == ssrf.REACHED


def test_an_attempt_records_lookups_and_addresses_and_dials_nothing() -> None:
    tried = attempts.attempt("http://x.example/", lambda host: ["8.8.8.8", "1.1.1.1"])

    assert tried == attempts.Attempt("the connection was refused", ("x.example",), ("8.8.8.8", "1.1.1.1"))
