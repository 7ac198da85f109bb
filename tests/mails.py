"""A strict reader of our mails: it accepts only mails that are safe to open, whatever text is in them."""

import email
import re
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from unicodedata import category

HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "mime-version",
    "content-type",
}
UNSUBSCRIBE_HEADERS = {"list-unsubscribe", "list-unsubscribe-post"}
TAGS = {
    "html": {"lang", "dir"},
    "head": set(),
    "meta": {"charset", "name", "content"},
    "title": set(),
    "style": set(),
    "body": {"class", "style"},
    "div": {"class", "dir", "style"},
    "table": {
        "role", "class", "lang", "dir", "width", "cellspacing", "cellpadding", "border", "style",
    },
    "tr": set(),
    "td": {"class", "lang", "align", "valign", "style"},
    "h1": {"class", "dir", "style"},
    "h2": {"class", "lang", "dir", "style"},
    "h3": {"class", "dir", "style"},
    "p": {"class", "lang", "dir", "style"},
    "span": {"class", "dir", "style"},
    "a": {"class", "href", "lang", "style"},
}  # fmt: skip
LOADS_OR_RUNS = re.compile(r"url\(|@import|expression|behavior|javascript", re.IGNORECASE)
# Text that mail clients turn into links; the name of a scheme is ASCII.
LINK_LIKE = re.compile(
    r"[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:javascript|mailto|data):\S|[^\s.]\.[^\W\d_]{2,}", re.IGNORECASE
)
ALLOWED_FORMAT_CHARACTERS = "\u200c\u200d\u2060"


@dataclass
class Html(HTMLParser):
    """The HTML part. It may have only our template's tags and attributes, closed in order."""

    source: str
    links: list[str] = field(default_factory=list)
    todos: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    text: str = ""
    hidden: int = 0
    root: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"<{tag}>"
        assert {name for name, _ in attrs} <= TAGS[tag], f"<{tag} {attrs}>"
        values = dict(attrs)
        style = values.get("style") or ""
        assert not LOADS_OR_RUNS.search(style)
        self.hidden += "display:none" in style
        if tag == "html":
            self.root = values
        if tag == "table":
            assert values["role"] == "presentation"
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag == "h3":
            self.todos.append("")
        if tag in ("h1", "h2"):
            self.headings.append("")
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            assert not LOADS_OR_RUNS.search(data)
            return
        self.text += data
        if "h3" in self._open:
            self.todos[-1] += data
        if {"h1", "h2"} & set(self._open):
            self.headings[-1] += data

    def handle_decl(self, decl: str) -> None:
        assert decl == "doctype html"

    def handle_comment(self, data: str) -> None:
        assert data.startswith("[if mso]>"), data
        assert data.endswith("<![endif]"), data

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"<![{data}]>")


def part(message: EmailMessage, kind: str) -> str:
    """Return the text of a part, "plain" or "html", with LF at line ends."""
    body = message.get_body((kind,))
    assert body is not None, kind
    return str(body.get_content()).replace("\r\n", "\n")


def squeeze(text: str) -> str:
    """Remove white space, to find a text however it was wrapped."""
    return "".join(text.split())


def check_mail(raw: bytes) -> EmailMessage:
    """Check the structure of a mail strictly and return it parsed.

    Raises:
        AssertionError: we would not send such a mail.
    """
    _check_bytes(raw)
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    unsubscribe = _check_headers(message)

    assert message.get_content_type() == "multipart/alternative"
    parts = list(message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "text/html"]
    for each in parts:
        assert not each.defects
        assert each.get_content_charset() == "utf-8"
        assert set(map(str.lower, each.keys())) <= {
            "content-type",
            "content-transfer-encoding",
            "mime-version",
        }

    source, text = part(message, "html"), part(message, "plain")
    html = Html(source)
    assert len(source.encode()) <= 72_000
    assert html.hidden == 1, "only the preview may be hidden"
    assert html.root["lang"]
    assert html.root["dir"] in ("ltr", "rtl")
    button, *others = html.links
    assert re.match("https?://", button)
    assert others == ([unsubscribe] if unsubscribe else [])

    for link in html.links:
        assert text.splitlines().count(link) == 1
    lines = [line for line in text.splitlines() if line not in html.links]
    assert max(map(len, lines)) <= 76
    for todo in html.todos:
        assert squeeze(todo) in squeeze(text)

    for name in ("From", "To"):
        _check_shown(_name(raw, name))
    for shown in (message["Subject"], html.text, "\n".join(lines)):
        _check_shown(shown)
    return message


def _check_bytes(raw: bytes) -> None:
    raw.decode("ascii")
    head, _, body = raw.partition(b"\r\n\r\n")
    for line in raw.split(b"\r\n"):
        assert not {*b"\r\n\0"} & {*line}, "a line does not end in CRLF"
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 78


def _check_headers(message: EmailMessage) -> str | None:
    """Check the headers and return the link in List-Unsubscribe."""
    assert not message.defects
    names = [name.lower() for name in message.keys()]  # noqa: SIM118 (a name may occur twice)
    assert len(names) == len(set(names)), "a header occurs twice"
    assert set(names) in (HEADERS, HEADERS | UNSUBSCRIBE_HEADERS)
    for name, value in message.items():
        assert not value.defects, name
        assert not {"\r", "\n", "\0"} & {*value}, name
    for name in ("From", "To"):
        header = message[name]
        assert isinstance(header, AddressHeader)
        (address,) = header.addresses
        assert re.fullmatch(r"[!-~]+@[a-z0-9.-]+\.[a-z0-9-]+", address.addr_spec, re.IGNORECASE)
    assert message["Subject"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith(f"@{message['From'].addresses[0].domain}>")
    assert message["Date"].datetime.tzinfo is not None
    if "List-Unsubscribe" not in message:
        return None
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch("<(https?://[^<> ]+)>", message["List-Unsubscribe"])
    assert found
    return found[1]


def _name(raw: bytes, header: str) -> str:
    """Return the name before the address. The default policy's parser puts spaces between encoded words."""
    unfolded = str(email.message_from_bytes(raw)[header]).replace("\r\n", "")
    found = re.fullmatch("(.*) <[^<>]+>", unfolded)
    return str(make_header(decode_header(found[1]))) if found else ""


def _check_shown(text: str) -> None:
    """Check that nothing in the text is hidden, reverses it or becomes a link."""
    for character in text:
        assert character == "\n" or category(character) not in ("Cc", "Cs"), repr(character)
        assert category(character) != "Cf" or character in ALLOWED_FORMAT_CHARACTERS, repr(character)
    found = LINK_LIKE.search(text)
    assert found is None, found


def text_of(mail: EmailMessage) -> str:
    """Return the text part with its lines joined and without word joiners."""
    part = mail.get_body(("plain",))
    assert part is not None
    return joined(part.get_content())


def joined(text: str) -> str:
    """Replace white space by single spaces and remove word joiners."""
    return re.sub(r"\s+", " ", text.replace("\u2060", ""))
