"""A site's boilerplate is kept on one page, without menus, forms, cookie notices and hidden parts."""

import pytest

from documents.text.boilerplate import boilerplate_parts
from documents.text.child import read_text
from documents.text.page import line_hashes, parse
from tests.website import WORDS

FOOTER = """<footer><nav><p>All our bells, from A to Z</p></nav><h3>Where we are</h3>
    <p>Old Mill, 1 River Road<br>Open from Monday to Friday, 9 to 17</p>
    <p><a href="/imprint">Imprint</a> <a href="/privacy">Privacy</a></p>
    <p><a href="mailto:mill@example.com">Write to us</a></p>
    <form><p>Your mail address, for our letter</p></form><p hidden>Ring 555 or be cursed</p></footer>
    <div class="cookie-notice"><p>We use cookies wherever we can.</p></div>"""
KEPT = [
    "Where we are",
    "Old Mill, 1 River Road",
    "Open from Monday to Friday, 9 to 17",
    "Write to us (mill@example.com)",
]


def page(name: str) -> bytes:
    main = f"<h1>{name}</h1><p>{WORDS.format(thing=name)}</p><p>{WORDS.format(thing=name * 2)}</p>"
    head = f"<head><title>{name} - Old Mill</title></head>"
    return f"<html>{head}<body><main>{main}</main>{FOOTER}</body></html>".encode()


def hashes() -> frozenset[int]:
    found = [
        line_hashes(tree) for name in ("Bells", "Clocks") if (tree := parse(page(name), None)) is not None
    ]
    return frozenset(found[0] & found[1])


def kept(html: bytes, known: frozenset[int]) -> list[str]:
    tree = parse(html, None)
    assert tree is not None
    return [line.text for part in boilerplate_parts(tree, known) for line in part]


def parts(footer: str) -> list[list[str]]:
    tree = parse(f"<body><p>Text</p><footer>{footer}</footer></body>".encode(), None)
    assert tree is not None
    return [[line.text for line in part] for part in boilerplate_parts(tree, frozenset())]


def test_boilerplate_is_kept_without_menus_forms_and_notices() -> None:
    assert kept(page("Bells"), hashes()) == KEPT


def test_the_footer_is_kept_while_the_repeated_lines_of_a_site_are_unknown() -> None:
    assert kept(page("Bells"), frozenset()) == KEPT


ADDRESS, HOURS = "Old Mill, 1 River Road, Hillbridge", "Open from Monday to Friday, 9 to 17"


@pytest.mark.parametrize(
    "footer",
    [
        f"<div><p>{ADDRESS}</p><p>Tel. 555</p></div><div><p>{HOURS}</p></div>",
        f"<div>{ADDRESS}<br>Tel. 555</div><div>{HOURS}</div>",
        f"<ul><li>{ADDRESS}</li><li>Tel. 555</li></ul><ul><li>{HOURS}</li></ul>",
    ],
)
def test_each_column_of_a_footer_is_a_part(footer: str) -> None:
    assert parts(footer) == [[ADDRESS, "Tel. 555"], [HOURS]]


def test_a_part_that_is_too_short_for_a_chunk_joins_the_next_one() -> None:
    assert parts(f"<div><p>Old Mill</p></div><div><p>{ADDRESS}</p></div><div><p>{HOURS}</p></div>") == [
        ["Old Mill", ADDRESS],
        [HOURS],
    ]


def test_boilerplate_has_its_own_chunks_on_one_page_and_is_on_no_other() -> None:
    home, other = (
        read_text(page(name), None, hashes(), keeps)["chunks"]
        for name, keeps in (("Bells", True), ("Clocks", False))
    )

    assert home[-2:] == [
        "Bells - Old Mill > Where we are\nOld Mill, 1 River Road\nOpen from Monday to Friday, 9 to 17",
        "Bells - Old Mill\nWrite to us (mill@example.com)",
    ]
    assert "River Road" not in "".join([*home[:-2], *other])
    assert home[0].startswith("Bells - Old Mill\nOur Bells is made by hand")


def test_links_before_the_first_line_of_a_footer_are_left_out() -> None:
    footer = "<footer><p><a href='/imprint'>Imprint</a></p><p>Old Mill, 1 River Road, Oldtown</p></footer>"

    assert kept(f"<html><body><p>Hello</p>{footer}</body></html>".encode(), frozenset()) == [
        "Old Mill, 1 River Road, Oldtown"
    ]
