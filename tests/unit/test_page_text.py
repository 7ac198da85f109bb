import random
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bench import extraction
from documents.text import main_text
from documents.text.lines import Line
from documents.text.links import canonical, links
from documents.text.main_text import main_lines
from documents.text.page import TAG, _sparse_tag, line_hashes, parse

URL = "https://example.com/shop/page"
SENTENCE = (
    "A sentence about hearing aids, long enough to be taken for the text of a page and for nothing else."
)

LONG = SENTENCE * 4


def lines(
    html: str | bytes, charset: str | None = None, repeated: frozenset[int] = frozenset()
) -> list[Line]:
    tree = parse(html.encode() if isinstance(html, str) else html, charset)
    return [] if tree is None else main_lines(tree, repeated)


def text(html: str | bytes, charset: str | None = None) -> str:
    return "\n".join(line.text for line in lines(html, charset))


def tree_of(html: str) -> etree._Element:
    tree = parse(html.encode(), None)
    assert tree is not None
    return tree


# The text of a page


def test_paragraphs_headings_items_and_rows_are_one_line_each() -> None:
    html = f"""<html><body><nav><a href="/">Home</a></nav><main><h1>Title  of
        it</h1><p>{SENTENCE}</p><p>{SENTENCE}<br>After a break.</p><ul><li>First</li><li>Second</li></ul>
        <h2>Prices</h2><table>
        <tr><th>Thing</th><th>Price</th></tr><tr><td>Bell</td><td><p>£5</p></td></tr></table>
        </main><footer>Copyright</footer></body></html>"""

    found = lines(html)

    assert found == [
        Line("Title of it", 1),
        Line(SENTENCE),
        Line(SENTENCE),
        Line("After a break."),
        Line("First"),
        Line("Second"),
        Line("Prices", 2),
        Line("Thing | Price"),
        Line("Bell | £5", header="Thing | Price"),
    ]


def test_the_description_of_a_picture_is_read_in_its_place() -> None:
    shown = "A woman rings the largest bell of the town"
    html = f"""<html><body><nav><a href="/">Home</a><a href="/b">Bells</a>
        <img alt="The way to the home page of this site"></nav><main>
        <h1>Bells</h1><p>{SENTENCE}<img alt="{shown}"> It goes on.</p><img alt="logo">
        <img alt="a picture of it.jpg"><figure><img alt="The same bell as seen from below">
        <figcaption>The bell from below, in its tower.</figcaption></figure><p>{SENTENCE}</p></main>
        </body></html>"""

    assert [line.text for line in lines(html)] == [
        "Bells",
        f"{SENTENCE} It goes on.",
        shown,
        "The bell from below, in its tower.",
        SENTENCE,
    ]


def test_a_preformatted_text_keeps_its_lines() -> None:
    code = "<pre><code>pip install <b>bells</b>\n\n  bells --ring\nbells --stop</code></pre>"

    found = lines(f"<body><main><h1>Title</h1><p>{LONG}</p>{code}<p>{LONG}</p></main></body>")

    assert [line.text for line in found] == [
        *("Title", LONG.strip(), "pip install bells", "bells --ring", "bells --stop", LONG.strip())
    ]


@pytest.mark.parametrize(
    ("link", "read"),
    [
        ('<a href="mailto:ann@a.test">Ann</a>', "Ann (ann@a.test)"),
        ('<a href="mailto:ann%40a.test?subject=Hello">Ann</a>', "Ann (ann@a.test)"),
        ('<a href="mailto:ann@a.test">Write to ann@a.test</a>', "Write to ann@a.test"),
        ('<a href="mailto:">Ann</a>', "Ann"),
        ('<a href="tel:+44123456">Call us</a>', "Call us (+44123456)"),
        ('<a href="tel:+44123456">+44 (123) 456</a>', "+44 (123) 456"),
        ('<a href="tel:%00%e2%80%8b">Call us</a>', "Call us"),
        ('<a href="https://a.test">Website</a>', "Website"),
    ],
)
def test_a_mail_address_or_telephone_number_behind_a_link_is_read(link: str, read: str) -> None:
    found = text(f"<body><main><h1>Title</h1><p>{SENTENCE} {link}, says {LONG}</p></main></body>")

    assert f"{SENTENCE} {read}, says {LONG}".strip() in found.splitlines()


def test_a_list_of_people_with_mail_addresses_is_not_a_menu() -> None:
    names = ("Ann Hill", "Ben Moor", "Cleo Dale")
    people = "".join(
        f"""<div class="person"><h3>{name}</h3><p>Rings bells</p>
        <p><a href="mailto:{name[:3]}@a.test">Write to {name}</a></p></div>"""
        for name in names
    )

    found = text(f"<body><nav><a href='/'>Home</a></nav><main><h1>People</h1>{people}<p>{LONG}</p></main>")

    assert found.splitlines() == [
        "People",
        *(line for name in names for line in (name, "Rings bells", f"Write to {name} ({name[:3]}@a.test)")),
        LONG.strip(),
    ]


@pytest.mark.parametrize(
    "closed",
    [
        '<button aria-controls="x y">Q</button><div id="y" hidden><p>ANSWER</p></div>',
        '<a aria-controls="y">Q</a><div id="y" aria-hidden="true" style="display:none">ANSWER</div>',
        '<button data-bs-target="#y">Q</button><div id="y" style="display:none"><p>ANSWER</p></div>',
        '<a data-toggle="collapse" href="#y">Q</a><div id="y" style="display:none"><p>ANSWER</p></div>',
        '<a role="tab" href="#y">Q</a><div id="y" style="display: none"><p>ANSWER</p></div>',
        '<div role="tabpanel" hidden><p>ANSWER</p></div>',
        '<div hidden="until-found"><p>ANSWER</p></div>',
        "<details><summary>Q</summary><p>ANSWER</p></details>",
    ],
)
def test_content_that_a_reader_can_open_is_text(closed: str) -> None:
    found = text(f"<body><main><h1>Title</h1><p>{SENTENCE}</p>{closed.replace('ANSWER', LONG)}</main>")

    assert LONG in found.splitlines()


@pytest.mark.parametrize(
    "notice",
    [
        '<div id="y" role="dialog" hidden>SECRET</div>',
        '<dialog id="y" style="display:none">SECRET</dialog>',
        '<div id="other" hidden>SECRET</div>',
        '<div id="" hidden>SECRET</div>',
    ],
)
def test_a_hidden_notice_is_not_text_even_if_a_link_opens_it(notice: str) -> None:
    opens = '<a aria-controls="y" data-bs-target="#" href="#other">Cookie settings</a>'

    found = text(f"<body><main><p>{SENTENCE}</p>{opens}{notice.replace('SECRET', LONG)}</main>")

    assert LONG not in found


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>SECRET</p>",
        '<p style="Display : none">SECRET</p>',
        '<div style="visibility:hidden"><p>SECRET</p></div>',
        "<script>SECRET</script>",
        "<style>SECRET</style>",
        "<template><p>SECRET</p></template>",
        "<noscript>SECRET</noscript>",
        "<!-- SECRET -->",
    ],
)
def test_hidden_content_is_not_read(hidden: str) -> None:
    assert text(f"<body><main><h1>Title</h1><p>{SENTENCE}</p>{hidden}<p>End of it.</p></main>") == (
        f"Title\n{SENTENCE}\nEnd of it."
    )


def test_a_page_that_is_hidden_until_its_scripts_have_run_is_read() -> None:
    assert SENTENCE in text(f'<body style="visibility:hidden" hidden><p>{SENTENCE}</p></body>')


def test_a_form_around_the_whole_page_is_not_dropped() -> None:
    parts = f"<div><span>{SENTENCE}</span></div><div>{SENTENCE} Twice.</div>"
    page = f"<body><form><h1>Title</h1>{parts}</form></body>"

    assert text(page).count("hearing aids") == 2


@pytest.mark.parametrize(
    "words",
    [
        "我们为餐厅定制竹筷，最小起订量为五百件。",
        "お部屋は全部で七室です。どのお部屋からも谷川を眺めることができます。",
        "يقدم بيت القلم دورات في الخط العربي منذ عام ألف وتسعمئة.",
        "Thanks 👩‍👩‍👧‍👦 for coming 🇫🇷 to our 🎋 party today.",
        "हम हर शनिवार को बाज़ार में ताज़ी सब्ज़ियाँ बेचते हैं।",
        "Œuvres d’été à 10 €, naïveté comprise.",
    ],
)
def test_every_writing_system_is_read(words: str) -> None:
    page = f"<html><body><article><h1>{words}</h1><p>{words * 20}</p></article></body></html>"

    assert text(page) == f"{words}\n{words * 20}"
    assert text(page.encode("utf-16")) == text(page)


def test_soft_hyphens_are_removed() -> None:
    assert "Wohnraum" in text(f"<main><p>Wohn&shy;raum. {SENTENCE}</p></main>")


# Charsets


@pytest.mark.parametrize(
    ("encoding", "header", "meta"),
    [
        ("utf-8", None, ""),
        ("utf-8-sig", "iso-8859-1", ""),
        ("utf-8", "utf-8", '<meta charset="iso-8859-1">'),
        ("cp1252", None, ""),
        ("cp1252", "ISO-8859-1", ""),
        ("cp1252", "utf-8", ""),
        ("cp1252", "no-such-charset", ""),
        ("cp1252", None, '<meta charset="windows-1252">'),
        ("utf-8", None, '<meta charset="utf-16">'),
        ("utf-16", None, ""),
        ("utf-16-le", "utf-16le", ""),
        ("utf-8", "utf-16", ""),
        ("utf-8", "punycode", ""),
        ("utf-8", "idna", ""),
        ("utf-8", "zlib", ""),
        ("utf-8", "a\0b", ""),
        ("utf-8", "", ""),
        ("utf-8", None, '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'),
    ],
)
def test_the_charset_is_found(encoding: str, header: str | None, meta: str) -> None:
    body = f"<html><head>{meta}</head><body><p>Élève à l’école, déjà. {SENTENCE}</p></body></html>".encode(
        encoding
    )

    assert "Élève à l’école, déjà." in text(body, header)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc-jp", "iso-2022-jp"])
def test_a_japanese_charset_is_taken_from_the_page(encoding: str) -> None:
    html = f'<meta charset="{encoding}"><p>{"お部屋のご案内です。" * 20}</p>'

    assert "お部屋のご案内です。" in text(html.encode(encoding))


def test_the_charset_of_an_xml_declaration_is_used() -> None:
    html = f'<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>Déjà. {SENTENCE}</p></body></html>'

    assert "Déjà." in text(html.encode("iso-8859-1"))


def test_one_wrong_byte_does_not_make_a_japanese_page_western() -> None:
    body = f"<p>{'お部屋のご案内です。' * 20}".encode() + b"\xff</p>"

    assert "お部屋のご案内です。" in text(body, "utf-8")


# Hostile pages


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"\0\0\0", b"<!-- only -->", b"\xff\xfe", b"\xef\xbb\xbf", b"<", b"<?xml"]
)
def test_an_empty_page_has_no_text(body: bytes) -> None:
    tree = parse(body, None)

    assert (
        tree is None
        or [line for line in main_lines(tree, frozenset()) if line.text not in ("<", "<?xml")] == []
    )


def test_deeply_nested_text_is_read_and_the_text_after_it() -> None:
    deep = 100_000
    html = f'<p>Before</p>{"<div>" * deep}Deep <a href="/deep">link</a>{"</div>" * deep}<p>After it all</p>'

    tree = tree_of(html)

    assert [line.text for line in main_lines(tree, frozenset())] == ["Before", "Deep link", "After it all"]
    assert links(tree, URL) == ["https://example.com/deep"]


def test_a_page_of_very_many_elements_is_read_without_the_slow_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main_text, "extracted_lines", pytest.fail)
    body = (
        "<html><body><nav>Menu</nav>" + "<div>a line</div>x<i hidden>SECRET</i>" * 20_000 + "</body></html>"
    )

    found = lines(body)

    assert {line.text for line in found} == {"a line", "x"}


def test_a_page_that_trafilatura_fails_on_is_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RecursionError

    monkeypatch.setattr("trafilatura.bare_extraction", fail)

    assert text(f"<body><nav>Menu</nav><p>{SENTENCE}</p></body>") == SENTENCE


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE html [<!ENTITY a "lol"><!ENTITY b "&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'

    found = text(f"{bomb}<p>{SENTENCE} &b; &f;</p>")

    assert "lollol" not in found
    assert "root:" not in found


def check(body: bytes, charset: str | None) -> None:
    """All that holds for any page."""
    tree = parse(body, charset)
    if tree is None:
        return
    hashes = line_hashes(tree)
    assert all(-(2**63) <= each < 2**63 for each in hashes)
    assert all(url.startswith(("http://", "https://")) and "#" not in url for url in links(tree, URL))
    canonical(tree, URL)
    found = main_lines(tree, frozenset())
    assert found == main_lines(tree, frozenset())
    for line in found:
        assert line.text == " ".join(line.text.split()) != ""
        assert "\0" not in line.text
        line.text.encode()
    # Dropping all lines as repeated must work, too.
    main_lines(tree, frozenset(hashes))


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=400), st.none() | st.text(max_size=12) | st.sampled_from(["utf-8", "utf-16", "cp037"])
)
def test_any_bytes_are_read_as_a_page(body: bytes, charset: str | None) -> None:
    check(body, charset)


TAGS = [
    "html",
    "head",
    "body",
    "base",
    "main",
    "article",
    "nav",
    "header",
    "form",
    "div",
    "p",
    "a",
    "table",
    "tr",
    "td",
    "ul",
    "li",
    "dl",
    "dt",
    "details",
    "summary",
    "h1",
    "h3",
    "br",
    "svg",
    "math",
    "template",
    "script",
    "style",
    "title",
    "textarea",
    "select",
    "option",
    "frameset",
    "pre",
    "blockquote",
    "plaintext",
]
ATTRIBUTES = [
    "",
    " hidden",
    ' href="http://["',
    ' href="//x:99999/"',
    " href=#",
    " href",
    ' style="display:none"',
    " rel=canonical",
    " class=comments",
    " role=main",
    ' href="&#0;&#x1e;"',
]
PIECES = st.one_of(
    st.builds("<{}{}>".format, st.sampled_from(TAGS), st.sampled_from(ATTRIBUTES)),
    st.builds("</{}>".format, st.sampled_from(TAGS)),
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?php",
            "&#xD800;",
            "&#0;",
            "&#30;",
            "&#xfffe;",
            "&amp",
            SENTENCE,
        ]
    ),
    st.text(max_size=20),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(PIECES, max_size=60))
def test_any_mix_of_tags_is_read_as_a_page(pieces: list[str]) -> None:
    check("".join(pieces).encode("utf-8", "surrogatepass"), None)


# Where a page leads


def test_links_are_absolute_http_addresses_each_once_in_order() -> None:
    html = """<a href="/b">b</a> <a href=" c?x=1&amp;y=2 ">c</a>
        <map><area href="https://other.example/d"></map>
        <a href="/b#part">b again</a> <a href="//cdn.example/e">e</a> <a href="/f
g">f</a> <a>none</a> <a href="HTTP://EXAMPLE.COM/h">h</a>
        <a href="mailto:a@b.example">m</a> <a href="tel:+44">t</a> <a href="javascript:void(0)">j</a>
        <a href=" JavaScript:x">j</a> <a href="data:text/html,x">d</a> <a href="ftp://x.example/">f</a>
        <a href="file:///etc/passwd">f</a> <a href="sms:1">s</a> <a href="blob:x">b</a>
        <a href="about:blank">a</a>
        <a href="http://[">bad</a> <a href="http://[::1">bad</a> <a href="http://x:port/">bad</a>
        <a href="http://x.example:99999/">bad</a> <a href="http://">bad</a>"""

    assert links(tree_of(html), URL) == [
        "https://example.com/b",
        "https://example.com/shop/c?x=1&y=2",
        "https://other.example/d",
        "https://cdn.example/e",
        "https://example.com/fg",
        "http://EXAMPLE.COM/h",
    ]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("/else/", "https://example.com/else/x"),
        ("https://other.example/a/b", "https://other.example/a/x"),
        ("http://[", "https://example.com/shop/x"),
        ("javascript:1", "https://example.com/shop/x"),
    ],
)
def test_links_are_relative_to_the_base_of_the_page(base: str, expected: str) -> None:
    assert links(tree_of(f'<head><base href="{base}"></head><a href="x">x</a>'), URL) == [expected]


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        (r"\goods\list.html", "https://example.com/goods/list.html"),
        (r"..\list.html?back=\a", r"https://example.com/list.html?back=\a"),
        (r"\\other.example\a", "https://other.example/a"),
        (r"https:\\other.example\@example.com", "https://other.example/@example.com"),
        ("///other.example/a", "https://other.example/a"),
        ("https:////other.example//a", "https://other.example//a"),
    ],
)
def test_slashes_of_a_link_are_read_as_browsers_read_them(href: str, expected: str) -> None:
    """Otherwise a link leads us to another host than the reader of the page."""
    assert links(tree_of(f'<a href="{href}">x</a>'), URL) == [expected]


MANY = [f"a{number}" for number in range(300)]


@pytest.mark.parametrize(
    "attributes",
    [
        " ".join(f"{name}=long" for name in MANY),
        "/".join(f"{name}='long'" for name in MANY),
        "".join(f'{name}="1"' for name in MANY),
        "".join(f"{name}='>'" for name in MANY),
        " ".join(f'{name}="<"' for name in MANY),
        " ".join(f"{name} = {name}" for name in MANY),
        'a=">" ' + " ".join(f"without-value-{name}" for name in MANY),
        "=' b='>' " + " ".join(f"{name}=long" for name in MANY),
    ],
    ids=[
        *("spaces", "slashes", "quotes", "ends in quotes", "begins in quotes", "spaced", "no values"),
        "equals sign",
    ],
)
@pytest.mark.parametrize("tag", ["p", "x)y", "P"])
def test_a_tag_of_hundreds_of_attributes_loses_them_and_keeps_its_text(attributes: str, tag: str) -> None:
    tree = tree_of(f"<body><{tag} {attributes}>{LONG}</{tag}><p class=b>More</body>")

    first, second = tree.iterfind(".//body/*")
    assert (len(first.attrib), dict(second.attrib)) == (0, {"class": "b"})
    assert (first.text, second.text) == (LONG, "More")


@pytest.mark.parametrize(
    "html",
    [
        # A value of many words, quotes and brackets is one attribute.
        f"<p class=a data-x='{'"a" b=c> < ' * 500}'>{LONG}</p>",
        f'<p class=a alt="{"two words " * 500}">{LONG}</p>',
        # Text in a script, style or comment only looks like a tag.
        f"<script>if (i<b) {{ {'x = 1; ' * 500} }}</script><p class=a>{LONG}</p>",
        f"<SCRIPT>if (i<b && c == '<p {'x=1 ' * 500}</SCRIPT><p class=a>{LONG}</p>",
        f"<!-- i <b {'x = 1; ' * 500} --><p class=a>{LONG}</p>",
        f"<!--><p class=a>{LONG}</p><!-- -->",
        f"<title>i <b {'x = 1; ' * 500}</title><p class=a>{LONG}</p>",
    ],
)
def test_text_that_only_looks_like_a_tag_with_many_attributes_is_kept(html: str) -> None:
    (paragraph,) = tree_of(html).iter("p")

    assert (paragraph.get("class"), paragraph.text) == ("a", LONG)


@pytest.mark.parametrize("before", ["<?x '<!--' >", "<!x '<!--' >", "<!-->", "<!--->"])
def test_attributes_after_a_false_start_of_a_comment_are_counted(before: str) -> None:
    (paragraph,) = tree_of(f"<body>{before}<p {'=1 '.join(MANY * 2)}>{LONG}</p>--></body>").iter("p")

    assert (len(paragraph.attrib), (paragraph.text or "")[:9]) == (0, LONG[:9])


def test_a_script_with_many_attributes_still_has_no_text() -> None:
    assert text(f"<body><script {' '.join(MANY * 2)}>no text <p></script><p>{LONG}</p></body>") == LONG


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["<", "p", ">", '"', "'", "=", " ", "/", "<!--", "-->", "<script>", "</script>"])
    )
)
def test_tags_of_few_attributes_stay_as_they_are(pieces: list[str]) -> None:
    html = "".join(pieces)

    assert TAG.sub(_sparse_tag, html) == html


def test_a_base_that_is_far_too_long_is_ignored() -> None:
    """Each link would take its characters."""
    html = f'<head><base href="https://other.example/{"a" * 100_000}/"></head><a href="x">x</a>'

    assert links(tree_of(html), URL) == ["https://example.com/shop/x"]


def test_an_address_that_is_far_too_long_is_not_a_link() -> None:
    assert links(tree_of(f'<a href="/{"a" * 2_048}">x</a> <a href="y">y</a>'), URL) == [
        "https://example.com/shop/y"
    ]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<link rel="canonical" href="/one#x">', "https://example.com/one"),
        ('<link rel="Nofollow CANONICAL" href="https://a.example/">', "https://a.example/"),
        ('<link rel="canonical">', None),
        ('<link rel="canonical" href="http://[">', None),
        ('<link rel="canonical" href="mailto:x">', None),
        ('<link rel="stylesheet" href="/x.css">', None),
        ("<p>x", None),
    ],
)
def test_the_canonical_address_is_read(link: str, expected: str | None) -> None:
    assert canonical(tree_of(link), URL) == expected


# Boilerplate


def test_the_smallest_blocks_are_hashed_by_their_collapsed_text() -> None:
    one = line_hashes(tree_of("<div><p>Hello  <b>there</b>,\n you</p><ul><li>ab</li><li>abc</li></ul></div>"))
    other = line_hashes(tree_of("<section>Hello there, you</section><h2> abc </h2>"))

    assert len(one) == 2
    assert one == other


@pytest.mark.parametrize(
    "chrome",
    [
        "<div class='top'><div>Kettleby for everybody</div><ul><li>Weather stations and more</li></ul></div>",
        "<table><tr><td>Kettleby for everybody</td><td>Weather stations and more</td></tr></table>",
        "<section><h2>Kettleby for everybody</h2><p>Weather stations <b>and</b> more</p></section>",
        "<article><dl><dt>Kettleby for everybody</dt><dd>Weather stations and more</dd></dl></article>",
        "<main><p>Kettleby for everybody</p><p>Weather stations and more</p></main>",
    ],
)
def test_boilerplate_is_dropped_in_any_markup(chrome: str) -> None:
    pages = [
        tree_of(f"{chrome}<div><h1>Page {i}</h1><p>{i} {LONG}</p><p>{LONG} {i}</p></div>{chrome}")
        for i in "123"
    ]
    repeated = frozenset(set.intersection(*map(line_hashes, pages)))

    found = [[line.text for line in main_lines(page, repeated)] for page in pages]

    assert found == [[f"Page {i}", f"{i} {LONG}", f"{LONG} {i}"] for i in "123"]


@pytest.mark.parametrize(
    "teaser",
    [
        "<p><a href='/b'>All bells</a><br>Cast in {n} parts.</p>",
        "<h3><a href='/b'>All bells</a></h3><p>Cast in {n} parts.</p>",
        "<div><a href='/b'><h4>All bells</h4></a><p>Cast in {n} parts.</p></div>",
        "<a href='/b'><h4>All bells</h4><p>Cast in {n} parts.</p></a>",
        "<ul><li><a href='/b'>All bells</a> <span>Cast in {n} parts.</span></ul>",
    ],
)
def test_a_teaser_of_another_page_has_its_own_hashes(teaser: str) -> None:
    hashes = line_hashes(tree_of(f"<h1>Clocks</h1><p>{SENTENCE}</p>{teaser.format(n=5)}"))

    assert {each for each in hashes if each % 2 == 0} == line_hashes(tree_of(f"<h1>Clocks</h1><p>{SENTENCE}"))
    assert any(each % 2 for each in hashes)


@pytest.mark.parametrize(
    "contact", ["<a href='mailto:ann@a.test'>Ann</a> rings", "<a href='#top'>Up</a>", "<a>Ann</a> rings"]
)
def test_a_link_within_the_page_is_not_a_teaser(contact: str) -> None:
    assert all(each % 2 == 0 for each in line_hashes(tree_of(f"<p>{contact}</p>")))


def test_a_repeated_teaser_is_dropped_and_its_page_keeps_the_title() -> None:
    teaser = f"<h3><a href='/b'>All bells</a></h3><p>{SENTENCE}</p>"
    repeated = frozenset(line_hashes(tree_of(teaser)))
    clocks = tree_of(f"<main><h1>Clocks</h1><p>{LONG}</p><div>{teaser}</div></main>")
    bells = tree_of(f"<main><h1>All bells</h1><p>{SENTENCE}</p><p>{LONG}</p></main>")

    assert [line.text for line in main_lines(clocks, repeated)] == ["Clocks", LONG.strip()]
    assert [line.text for line in main_lines(bells, repeated)] == ["All bells", SENTENCE, LONG.strip()]


def test_the_tree_is_not_changed() -> None:
    tree = tree_of(f"<body><div hidden>x y z</div><p>{SENTENCE}</p></body>")
    before = etree.tostring(tree)

    main_lines(tree, frozenset(line_hashes(tree)))

    assert etree.tostring(tree) == before


def test_a_box_of_teasers_beside_the_text_is_dropped_whatever_its_name() -> None:
    teasers = "".join(
        f"<h4><a href='/{n}'>Bell {n}</a></h4><p>How bell {n} was cast in a mould of loam.</p>" for n in "123"
    )
    main = "".join(f"<h2>Part {n}</h2><p>{n} {SENTENCE}</p>" for n in "12")
    html = f"""<body><div id="top"><a href="/">Home</a></div><div id="a"><div id="b"><h1>Clocks</h1>{main}
        </div><div id="c"><div class="d"><h3>News</h3>{teasers}</div></div></div></body>"""

    found = text(html)

    assert [f"{n} {SENTENCE}" in found.splitlines() for n in "12"] == [True, True]
    assert "loam" not in found


# The labelled pages


def test_a_page_has_the_same_lines_after_any_other_pages() -> None:
    pages = extraction.load_all()
    first = {page.name: lines(page.html) for page in pages}

    random.Random(4).shuffle(pages)

    assert {page.name: lines(page.html) for page in chain(pages, reversed(pages))} == first


def test_our_extraction_is_far_better_than_the_text_of_the_whole_page() -> None:
    pages = extraction.load_all()

    scores = {
        name: extraction.mean_score([extraction.score_page(page, extract(page)) for page in pages])
        for name, extract in extraction.extractors(pages).items()
    }

    plain, ours, known = (scores[n] for n in ("plain get_text", "ours", "ours, repeated lines known"))
    assert len(pages) >= 36
    assert ours.f1 > plain.f1 + 0.1
    assert ours.f1 > 0.95
    assert ours.chrome_left < 0.15
    assert known.chrome_left < ours.chrome_left
