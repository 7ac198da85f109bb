"""Bodies, robots.txt files and sitemaps that are made to cost a fetcher much time or memory."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

PIECE = bytes(1 << 20)
PIECES = 1024
# The most bytes that are read of a sitemap, and of a robots.txt.
SITEMAP_BYTES, ROBOTS_BYTES = 9_900_000, 999_000


@dataclass(frozen=True)
class Answer:
    """A server's answer: its bytes, and their Content-Encoding."""

    body: bytes
    encoding: str = ""


def _zeros(window: int) -> bytes:
    compressor = zlib.compressobj(wbits=window)
    return b"".join((*(compressor.compress(PIECE) for _ in range(PIECES)), compressor.flush()))


def gzip_bomb() -> Answer:
    """Return a gigabyte of zeros, in one megabyte of gzip."""
    return Answer(_zeros(31), "gzip")


def deflate_bomb() -> Answer:
    """Return the same as deflate, without a header."""
    return Answer(_zeros(-15), "deflate")


def gzip_in_gzip() -> Answer:
    """Return the same, compressed twice."""
    return Answer(gzip.compress(_zeros(31)), "gzip, gzip")


def empty_gzips() -> Answer:
    """Return two hundred thousand gzips of nothing."""
    return Answer(gzip.compress(b"") * 200_000, "gzip")


def brotli() -> Answer:
    """Return a body labelled as brotli, which the fetcher has not offered to accept."""
    return Answer(b"\x8b\x02\x80<p>\x03", "br")


def sitemap_of_elements() -> Answer:
    """Return ten megabytes of the smallest elements, in ten kilobytes."""
    return Answer(gzip.compress(b"<urlset>" + b"<a/>" * (SITEMAP_BYTES // 4)))


def sitemap_of_indexes() -> Answer:
    """Return an index that names 150,000 sitemaps twice, each of which does the same."""
    named = b"".join(
        b"<sitemap><loc>/sitemap_of_indexes/%d</loc></sitemap>" % (number // 2) for number in range(300_000)
    )
    return Answer(b"<sitemapindex>" + named[:SITEMAP_BYTES])


def sitemap_of_pages() -> Answer:
    """Return twenty times 200,000 pages, none of which is wanted."""
    named = b"".join(b"<url><loc>https://other.example/%d</loc></url>" % number for number in range(200_000))
    index = b"".join(b"<sitemap><loc>/sitemap_of_pages/%d</loc></sitemap>" % number for number in range(20))
    return Answer(b"<urlset>" + (index + named)[:SITEMAP_BYTES])


def sitemap_of_attributes() -> Answer:
    """Return an element with 900,000 attributes."""
    return Answer(b"<urlset><url " + b" ".join(b'a%d="1"' % n for n in range(900_000))[:SITEMAP_BYTES])


def sitemap_of_namespaces() -> Answer:
    """Return an element with 300,000 namespaces."""
    return Answer(b"<urlset " + b" ".join(b'xmlns:a%d="u%d"' % (n, n) for n in range(300_000)) + b">")


def sitemap_of_names() -> Answer:
    """Return elements that all have different names."""
    return Answer(b"<urlset>" + b"".join(b"<a%d/>" % number for number in range(900_000)))


def sitemap_of_one_address() -> Answer:
    """Return one address of ten megabytes, in a million pieces."""
    return Answer(b"<urlset><url><loc>" + b"x&amp;" * (SITEMAP_BYTES // 6))


def sitemap_deep() -> Answer:
    """Return millions of nested elements."""
    return Answer(b"<url>" * (SITEMAP_BYTES // 5))


def sitemap_of_entities() -> Answer:
    """Return entities that each stand for ten of the one before, ten levels deep."""
    entities = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 11))
    doctype = b'<!DOCTYPE urlset [<!ENTITY a0 "bread">%s]>' % entities
    return Answer(doctype + b"<urlset><url><loc>&a10;</loc></url></urlset>")


def robots_of_rules() -> Answer:
    """Return 55,000 rules."""
    return Answer(b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % number for number in range(55_000)))


def robots_of_stars() -> Answer:
    """Return thousands of rules with many stars, which match late or never."""
    return Answer(b"User-agent: *\n" + b"Disallow: /*a*a*a*a*a*a*a*a*a*a*b$\n" * 27_000)


def robots_of_one_rule() -> Answer:
    """Return one rule with hundreds of thousands of stars."""
    return Answer(b"User-agent: *\nDisallow: /" + b"*a" * (ROBOTS_BYTES // 2 - 50) + b"b")


def robots_of_agents() -> Answer:
    """Return one group with 30,000 agents and 30,000 rules."""
    agents = b"".join(b"User-agent: a%d\n" % number for number in range(30_000))
    return Answer(agents + b"Disallow: /a\n" * 30_000)


def robots_of_groups() -> Answer:
    """Return 23,000 groups for our agent."""
    return Answer(b"User-agent: MojodexBackground\nDisallow: /a\n" * 23_000)


def robots_of_sitemaps() -> Answer:
    """Return 60,000 sitemaps."""
    return Answer(b"".join(b"Sitemap: /%d\n" % number for number in range(60_000)))


def robots_of_escapes() -> Answer:
    """Return one rule with 300,000 percent-encoded letters."""
    return Answer(b"User-agent: *\nDisallow: /" + b"%61" * (ROBOTS_BYTES // 3 - 50))


def robots_too_large() -> Answer:
    """Return more bytes than a robots.txt may have, in one kilobyte."""
    return Answer(gzip.compress(b"#" * 1_000_001), "gzip")


HOSTILE_ANSWERS: dict[str, Callable[[], Answer]] = {
    build.__name__: build
    for build in (
        gzip_bomb,
        deflate_bomb,
        gzip_in_gzip,
        empty_gzips,
        brotli,
        sitemap_of_elements,
        sitemap_of_indexes,
        sitemap_of_pages,
        sitemap_of_attributes,
        sitemap_of_namespaces,
        sitemap_of_names,
        sitemap_of_one_address,
        sitemap_deep,
        sitemap_of_entities,
        robots_of_rules,
        robots_of_stars,
        robots_of_one_rule,
        robots_of_agents,
        robots_of_groups,
        robots_of_sitemaps,
        robots_of_escapes,
        robots_too_large,
    )
}
