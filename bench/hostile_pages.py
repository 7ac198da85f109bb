"""Web pages that are made to cost a reader much time or memory; built in memory, at most 5 MB each."""

from collections.abc import Callable

LIMIT = 5_000_000
WORDS = b"We bake bread every day but Sunday, and our rolls are warm at seven in the morning. "
MAIN = (
    b"<html><head><title>Bread</title></head><body><main><h1>Bread</h1><p>%s</p>%%s</main></body></html>"
    % (WORDS * 3)
)


def page(content: bytes) -> bytes:
    """Return a page with a paragraph, and hostile content below it."""
    return MAIN % content


def filled(piece: bytes, limit: int = LIMIT - 1000) -> bytes:
    """Return a page that repeats a piece as often as it fits."""
    return page(piece * (limit // len(piece)))


def _attributes(separator: bytes, value: bytes = b'"1"') -> bytes:
    return page(b"<p " + separator.join(b"a%d=%s" % (number, value) for number in range(120_000)) + b">x</p>")


def attributes_by_spaces() -> bytes:
    """Return a tag with 120,000 attributes."""
    return _attributes(b" ")


def attributes_by_slashes() -> bytes:
    """Return the same, with slashes between the attributes."""
    return _attributes(b"/")


def attributes_by_quotes() -> bytes:
    """Return the same, with nothing between them: a quote ends each attribute."""
    return _attributes(b"")


def attributes_with_brackets() -> bytes:
    """Return the same, with the end of a tag in each value."""
    return _attributes(b" ", b'">"')


def attributes_behind_an_equals_sign() -> bytes:
    """Return the same, behind a quote that belongs to the name of an attribute."""
    return _attributes(b" ").replace(b"<p a0", b"<p =' b='>' a0")


def attributes_behind_a_comment() -> bytes:
    """Return the same, behind something that only looks like an open comment."""
    return _attributes(b" ").replace(b"<p a0", b"<?x '<!--' ><p a0")


def attributes_without_values() -> bytes:
    """Return a tag with 700,000 attribute names on lines of their own."""
    return page(
        b"<p\n" + b"\n".join(b"a%d" % number for number in range(700_000))[: LIMIT - 2000] + b">x</p>"
    )


def attributes_of_a_tag_that_does_not_end() -> bytes:
    """Return half a million attributes of a tag that never ends."""
    return page(WORDS) + b"<p " + b" ".join(b"a%d=1" % number for number in range(500_000))[: LIMIT - 2000]


def attributes_below_the_limit() -> bytes:
    """Return hundreds of tags with a thousand attributes each."""
    attributes = b" ".join(b"a%d=1" % number for number in range(1000))
    return filled(b"<p %s>x</p>" % attributes)


def attributes_spread() -> bytes:
    """Return three hundred thousand attributes, twelve for each tag."""
    return filled(b"<b a b c d e f g h i j k l>x</b>", 25_000 * 32)


def attributes_in_an_end_tag() -> bytes:
    """Return an end tag with 120,000 attributes."""
    return page(b"<p>x</p %s>" % b" ".join(b"a%d=1" % number for number in range(120_000)))


def one_attribute() -> bytes:
    """Return one attribute of five megabytes."""
    return page(b'<p title="%s">x</p>' % (b"x" * (LIMIT - 1000)))


def long_name() -> bytes:
    """Return a tag with a name of five megabytes."""
    return page(b"<%s>x" % (b"x" * (LIMIT - 1000)))


def only_tags() -> bytes:
    """Return five megabytes of the shortest tags."""
    return filled(b"<b>")


def tags_at_the_limit() -> bytes:
    """Return as many tags as a page may have."""
    return filled(b"<b>x</b>", 299_900 * 4)


def blocks_at_the_limit() -> bytes:
    """Return as many paragraphs as a page may have."""
    return filled(b"<p>x", 299_900 * 4)


def lines_at_the_limit() -> bytes:
    """Return as many line breaks as a page may have."""
    return filled(b"<br>x", 299_900 * 5)


def deep_nesting() -> bytes:
    """Return nested blocks, a hundred thousand deep."""
    return filled(b"<div>x", 600_000)


def deep_inline() -> bytes:
    """Return nested inline elements, a hundred thousand deep."""
    return filled(b"<b><i>x", 350_000)


def deep_below_the_limit() -> bytes:
    """Return a thousand towers of nested blocks, each below the limit of depth."""
    return filled(b"<div>" * 140 + b"x" + b"</div>" * 140, 280 * 1000 * 5)


def tables_in_tables() -> bytes:
    """Return nested tables, many of them side by side."""
    return filled(b"<table><tr><td>x" * 40 + b"</table>" * 40, 1_850 * 960)


def misplaced_in_tables() -> bytes:
    """Return text in tables at places where no text may be."""
    return filled(b"<table>x<b>", 299_000 * 5)


def unclosed_tags() -> bytes:
    """Return formatting that is never closed, in one paragraph after the other."""
    return filled(b"<p><b><i><u><font><a>x", 290_000 * 3)


def misnested_tags() -> bytes:
    """Return tags that end in the wrong order."""
    return filled(b"<a><b></a><p></b></p>", 290_000 * 3)


def one_word() -> bytes:
    """Return a line of five megabytes without a space."""
    return page(b"<p>%s</p>" % (b"x" * (LIMIT - 1000)))


def one_sentence() -> bytes:
    """Return a paragraph of five megabytes."""
    return page(b"<p>%s</p>" % (WORDS * ((LIMIT - 1000) // len(WORDS))))


def spaces() -> bytes:
    """Return five megabytes of white space."""
    return filled(b" \n\t")


def other_spaces() -> bytes:
    """Return paragraphs of invisible characters."""
    return filled("<p>\u00ad\ufeff\u200b\u00a0".encode(), 299_000 * 11)


def entities() -> bytes:
    """Return hundreds of thousands of entities."""
    return filled(b"&amp;&#x41;&notit;&CounterClockwiseContourIntegral;")


def ampersands() -> bytes:
    """Return five million ampersands."""
    return filled(b"&")


def comments() -> bytes:
    """Return one comment after the other."""
    return filled(b"<!--x-->", 299_900 * 8)


def comment_that_does_not_end() -> bytes:
    """Return comments that are opened but not closed."""
    return filled(b"<!--<!")


def processing_instructions() -> bytes:
    """Return one processing instruction after the other."""
    return filled(b"<?x y>", 299_900 * 6)


def huge_select() -> bytes:
    """Return a choice of 140,000 countries."""
    return page(b"<select>%s</select>" % (b"<option value=1>x</option>" * 140_000))


def long_base() -> bytes:
    """Return a hundred thousand links relative to an address of 2,000 characters."""
    base = b'<base href="http://example.com/%s/">' % (b"x" * 2000)
    return page(base + b"".join(b'<a href="%d">x</a>' % number for number in range(100_000)))


def very_long_base() -> bytes:
    """Return links relative to an address of a megabyte with a port."""
    base = b'<base href="http://example.com:80/%s/">' % (b"x/" * 500_000)
    return page(base + b"".join(b'<a href="%d">x</a>' % number for number in range(100_000)))


def many_bases() -> bytes:
    """Return a hundred thousand <base> elements without a valid address, and 40,000 links."""
    return page(b'<base href="mailto:x">' * 100_000 + b'<a href="b">x</a>' * 40_000)


def many_refreshes() -> bytes:
    """Return tags that could redirect the page but do not."""
    return filled(b'<meta http-equiv=refresh content="0 x"><link rel="canonical">', 140_000 * 30)


def deep_addresses() -> bytes:
    """Return links with hundreds of folders and dots."""
    return page(b'<a href="/%s">x</a>' % (b"a/../" * 400) * (LIMIT // 2100))


def nul_bytes() -> bytes:
    """Return tags with a NUL after each letter."""
    return filled(b"<\0p\0>\0x\0", 280_000 * 8)


def utf_16() -> bytes:
    """Return tags in UTF-16."""
    return b"\xff\xfe" + filled(b"<p>x", 280_000 * 4).decode().encode("utf-16-le")


def utf_16_that_is_none() -> bytes:
    """Return five megabytes that pretend to be UTF-16."""
    return b"\xff\xfe" + filled(WORDS)


def utf_7() -> bytes:
    """Return tags that only a reader of UTF-7 sees."""
    return b'<meta charset="utf-7">' + filled(b"+ADw-script+AD4-")


def wrong_bytes() -> bytes:
    """Return bytes that are not UTF-8."""
    return filled(b"\xff\xc3<p>\xe2\x82", 290_000 * 7)


def many_charsets() -> bytes:
    """Return a page that names its charset 100,000 times."""
    return b'<meta charset="x' * 100_000 + filled(WORDS, 3_000_000)


def style_soup() -> bytes:
    """Return tags with styles that almost hide them."""
    return filled(b'<p style="display : visibility :  display\t">x', 80_000 * 44)


def long_style() -> bytes:
    """Return a style of five megabytes that almost hides its element."""
    return page(b'<p style="%s">x' % (b"display " * 620_000))


def spaced_style() -> bytes:
    """Return a style that begins to hide its element, with five megabytes of spaces."""
    return page(b'<p style="display%s">x' % (b" " * (LIMIT - 1000)))


def script_soup() -> bytes:
    """Return scripts that begin and end inside each other."""
    return filled(b"<script>'<!--<script>'</script><p>", 59_000 * 34)


def svg_soup() -> bytes:
    """Return drawings with parts in HTML."""
    return filled(b"<svg><foreignObject><p>x<math><mi>", 50_000 * 34)


def long_pre() -> bytes:
    """Return a preformatted text of five megabytes with short lines."""
    return page(b"<pre>%s</pre>" % (b"a line\n" * (LIMIT // 7 - 200)))


def many_headings() -> bytes:
    """Return a hundred thousand headings."""
    return page(b"".join(b"<h%d>Bread %d</h%d>" % (n % 6 + 1, n, n % 6 + 1) for n in range(100_000)))


def many_items() -> bytes:
    """Return a list with a hundred thousand items."""
    return page(b"<ul>%s</ul>" % b"".join(b"<li>Bread %d" % number for number in range(100_000)))


def many_rows() -> bytes:
    """Return a table with fifty thousand rows."""
    rows = (b"<tr><td>Bread %d<td>%d euros" % (number, number) for number in range(50_000))
    return page(b"<table><tr><th>What<th>Price%s</table>" % b"".join(rows))


def one_row() -> bytes:
    """Return a row with a hundred thousand cells."""
    return page(b"<table><tr>%s</table>" % (b"<td>x" * 100_000))


def rows_in_rows() -> bytes:
    """Return nested rows and tables, whose text counts for each row."""
    return filled((b"<table><tr><td>" * 80 + WORDS + b"</table>" * 80), 920 * 1926)


def opened_panels() -> bytes:
    """Return a button that opens 20,000 hidden panels."""
    ids = b" ".join(b"p%d" % number for number in range(20_000))
    panels = b"".join(b"<div id=p%d hidden>Bread %d</div>" % (n, n) for n in range(20_000))
    return page(b'<button aria-controls="%s">All</button>%s' % (ids, panels))


def panels_with_buttons() -> bytes:
    """Return forty thousand hidden panels, each with a button of its own."""
    return page(
        b"".join(
            b'<i data-target="#p%d">x</i><p id=p%d style="display:none">Bread %d' % (n, n, n)
            for n in range(40_000)
        )
    )


def hidden_in_hidden() -> bytes:
    """Return hidden blocks inside hidden blocks."""
    return filled(b"<p hidden>x<div hidden>" * 100 + b"</div>" * 100, 980 * 2900)


def many_addresses() -> bytes:
    """Return fifty thousand links to mail addresses."""
    return page(b"".join(b'<a href="mailto:a%d@example.com">Write</a> ' % n for n in range(50_000)))


def long_addresses() -> bytes:
    """Return links to telephone numbers of 100,000 digits."""
    return page(b'<a href="tel:%s">%s</a>' % (b"1" * 100_000, b"1" * 99_999) * 24)


def links_in_links() -> bytes:
    """Return nested mail links, whose text includes that of all links inside."""
    return filled((b'<a href="mailto:a@b"><table><tr><td>x' * 60 + b"</table></a>" * 60), 250_000 * 9)


def many_pictures() -> bytes:
    """Return a figure with a hundred thousand described pictures."""
    pictures = b'<img alt="four words of bread">' * 100_000
    return page(b"<figure>%s</figure>" % pictures)


def repeated_lines() -> bytes:
    """Return seventy thousand lines that repeat on the site."""
    return page(b"".join(b"<footer><p>The mill, line %d</p></footer>" % number for number in range(70_000)))


def many_titles() -> bytes:
    """Return nested titles, articles and main elements."""
    return filled(b"<article><main role=main><h1>x</h1><title>y</title>", 49_000 * 51)


def lists_for_extraction() -> bytes:
    """Return as many elements as trafilatura may get, in nested lists."""
    return filled(b"<ul><li><a href=/x>Bread of today</a><p>Some words of it</ul>", 4900 * 61)


def divs_for_extraction() -> bytes:
    """Return as many elements as trafilatura may get, each with text before and after it."""
    return filled(b"<div>Some words of bread<br>and more<span> of it</span></div>", 6600 * 62)


def tables_for_extraction() -> bytes:
    """Return as many elements as trafilatura may get, in tables."""
    return filled(b"<table><tr><td>Bread<td>Some words of it, and more</table>", 4900 * 58)


def deep_for_extraction() -> bytes:
    """Return as many elements as trafilatura may get, nested as deeply as the parser allows."""
    return filled(b"<div>Some words of bread" * 230 + b"</div>" * 230, 83 * 230 * 29)


HOSTILE_PAGES: dict[str, Callable[[], bytes]] = {
    build.__name__: build
    for build in (
        attributes_by_spaces,
        attributes_by_slashes,
        attributes_by_quotes,
        attributes_with_brackets,
        attributes_behind_an_equals_sign,
        attributes_behind_a_comment,
        attributes_without_values,
        attributes_of_a_tag_that_does_not_end,
        attributes_below_the_limit,
        attributes_spread,
        attributes_in_an_end_tag,
        one_attribute,
        long_name,
        only_tags,
        tags_at_the_limit,
        blocks_at_the_limit,
        lines_at_the_limit,
        deep_nesting,
        deep_inline,
        deep_below_the_limit,
        tables_in_tables,
        misplaced_in_tables,
        unclosed_tags,
        misnested_tags,
        one_word,
        one_sentence,
        spaces,
        other_spaces,
        entities,
        ampersands,
        comments,
        comment_that_does_not_end,
        processing_instructions,
        huge_select,
        long_base,
        very_long_base,
        many_bases,
        many_refreshes,
        deep_addresses,
        nul_bytes,
        utf_16,
        utf_16_that_is_none,
        utf_7,
        wrong_bytes,
        many_charsets,
        style_soup,
        long_style,
        spaced_style,
        script_soup,
        svg_soup,
        long_pre,
        many_headings,
        many_items,
        many_rows,
        one_row,
        rows_in_rows,
        opened_panels,
        panels_with_buttons,
        hidden_in_hidden,
        many_addresses,
        long_addresses,
        links_in_links,
        many_pictures,
        repeated_lines,
        many_titles,
        lists_for_extraction,
        divs_for_extraction,
        tables_for_extraction,
        deep_for_extraction,
    )
}
