"""Which addresses a crawl takes, and for how many there is room."""

import pytest

from documents.create_from_website.frontier import ADDRESSES_PER_PAGE, OTHERS_PER_PAGE, Frontier
from documents.create_from_website.publishing import mistaken_address
from documents.web import urls

SITE = "https://example.com"


def addresses(*paths: str) -> list[str]:
    return [SITE + path for path in paths]


def test_what_is_no_page_takes_no_room_from_pages() -> None:
    frontier = Frontier(10, 3, {}, {}, ())
    others = [f"/{n}.pdf" for n in range(100)]
    pages = [f"/{n}" for n in range(100)]

    chosen = frontier.links(addresses(*others, *pages), 0)

    assert [each.url for each in chosen if each.reason] == addresses(*others[: 10 * OTHERS_PER_PAGE])
    assert [each.url for each in chosen if not each.reason] == addresses(*pages[: 10 * ADDRESSES_PER_PAGE])
    assert frontier.links(addresses("/more", "/more.pdf"), 0) == []
    assert len(frontier.other_addresses(addresses("/more", "/more.pdf"), 0)) == 2


def test_room_is_the_same_in_a_crawl_that_goes_on() -> None:
    known = {urls.key(url): url for url in addresses("/", "/a.pdf", "/b.pdf")}
    frontier = Frontier(1, 3, known, {}, ())

    chosen = frontier.links(addresses("/c.pdf", "/1", "/2", "/3"), 0)

    assert [each.url for each in chosen] == addresses("/1", "/2")


@pytest.mark.parametrize(
    ("canonical", "mistaken"),
    [
        ({}, None),
        ({"/": "/", "/a": "/", "/b": "/", "/c": "/"}, "/"),
        ({"/": "/", "/a": "/", "/b": "/"}, None),
        ({"/": "/", "/a": "/", "/b": "/", "/c": "/", **{f"/{n}": f"/{n}" for n in range(3)}}, None),
        ({"/": None, "/a": "/home", "/b": "/home", "/c": "/home"}, "/home"),
        ({"/list": "/list", "/list?page=2": "/list", "/list?page=3": "/list", "/list?page=4": "/list"}, None),
        ({"/a": "/a", "/print/a": "/a", "/b": "/b", "/print/b": "/b", "/c": "/c", "/print/c": "/c"}, None),
    ],
)
def test_an_address_that_most_pages_name_as_theirs_is_a_mistake(
    canonical: dict[str, str | None], mistaken: str | None
) -> None:
    assert mistaken_address(canonical) == mistaken
