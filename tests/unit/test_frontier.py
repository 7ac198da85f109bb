"""The addresses that a crawl keeps, and the limits of each kind."""

import pytest

from documents.create_from_website.frontier import ADDRESSES_PER_PAGE, Frontier
from documents.create_from_website.publishing import mistaken_address
from documents.web import urls

SITE = "https://example.com"


def addresses(*paths: str) -> list[str]:
    return [SITE + path for path in paths]


def test_files_and_other_addresses_do_not_use_up_the_room_of_pages() -> None:
    frontier = Frontier(10, 3, {}, {}, ())
    others = [f"/{n}.xls" for n in range(100)]
    files = [f"/{n}.{ending}" for n in range(2500) for ending in ("pdf", "docx")]
    pages = [f"/{n}" for n in range(100)]

    chosen = frontier.links(addresses(*others, *files, *pages), 0)

    room = {kind: 10 * each for kind, each in ADDRESSES_PER_PAGE.items()}
    assert [each.url for each in chosen if each.reason] == addresses(*others[: room["other"]])
    assert [each.url for each in chosen if not each.reason] == addresses(
        *files[: room["file"]], *pages[: room["page"]]
    )
    more = addresses("/more", "/more.pdf", "/more.xls")
    assert frontier.links(more, 0) == []
    assert len(frontier.other_addresses(more, 0)) == 3


def test_a_continued_crawl_has_the_same_room() -> None:
    known = {urls.key(url): url for url in addresses("/", "/a.pdf", "/b.txt")}
    frontier = Frontier(1, 3, known, {}, ())

    chosen = frontier.links(addresses("/c.pdf", "/d.txt", "/1", "/2", "/3"), 0)

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
def test_a_canonical_address_that_most_pages_share_is_a_mistake(
    canonical: dict[str, str | None], mistaken: str | None
) -> None:
    assert mistaken_address(canonical) == mistaken
