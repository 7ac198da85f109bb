"""The addresses that a crawl may read, by the one at which it begins."""

import pytest

from documents.web.scope import scope_of

HOST = "https://example.com"


@pytest.mark.parametrize(
    ("begins", "extent", "inside", "outside"),
    [
        ("/", None, ["/", "/a", "/a/b"], []),
        ("/en", None, ["/", "/en", "/de"], []),
        ("/about.html", None, ["/", "/shop/"], []),
        ("/docs/", None, ["/docs", "/docs/", "/docs/a", "/docs/a?b=1", "/docs?x"], ["/", "/docs2", "/Docs/"]),
        ("/docs/", "site", ["/", "/shop"], []),
        ("/docs", "path", ["/docs", "/docs/a"], ["/", "/docsy"]),
        ("/docs/index.html", "path", ["/docs/", "/docs/a"], ["/", "/doc"]),
        ("/docs/v1.2", "path", ["/docs/v1.2/a"], ["/docs/a"]),
        ("/about.html", "path", ["/", "/a"], []),
        ("/d%C3%A9/", None, ["/d%C3%A9/a"], ["/d/a"]),
    ],
)
def test_the_scope_is_the_site_or_a_path_of_it(
    begins: str, extent: str | None, inside: list[str], outside: list[str]
) -> None:
    scope = scope_of(HOST + begins, extent)  # type: ignore[arg-type]

    assert scope.holds(HOST + begins)
    assert all(
        scope.holds(HOST + path) and scope.path in f"{HOST}{path.partition('?')[0]}/" for path in inside
    )
    assert not any(scope.holds(HOST + path) for path in outside)


def test_a_site_has_several_hosts_and_a_path_has_one() -> None:
    site, path = scope_of(f"{HOST}/"), scope_of(f"{HOST}/docs/")

    assert site.holds("https://shop.example.com/docs/")
    assert not path.holds("https://shop.example.com/docs/")
    for scope in (site, path):
        assert scope.holds("http://www.example.com/docs/")
        assert not scope.holds("https://example.org/docs/")


def test_a_scope_that_moves_keeps_its_extent() -> None:
    site, path = scope_of(f"{HOST}/en"), scope_of(f"{HOST}/docs/")

    assert site.moved("https://example.org/new").holds("https://example.org/")
    assert path.moved("https://example.org/en/docs").holds("https://example.org/en/docs/a")
    assert not path.moved("https://example.org/en/docs").holds("https://example.org/en/a")
    assert not path.moved("https://example.org/en/docs").holds(f"{HOST}/docs/")
