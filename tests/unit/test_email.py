"""Cleaning of text, the mail's bytes, its settings and its unsubscribe link."""

import random
import re
import time
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any
from unicodedata import category

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import BadSignature, URLSafeSerializer

from events.daily_email.rendering import Content, MovedLine, TodoLine, render
from events.mail import mime
from events.mail.mime import EmailSettings, Rendered, as_bytes, check_address, unsubscribe
from events.mail.plain_text import plain
from mojodex.errors import PermanentError, TransientError
from mojodex.settings import SettingsError
from mojodex.unsubscribing import read_token
from tests.mails import check_mail

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
TODAY = date(2026, 11, 24)
WEB_APP = "https://app.example.org/?a=1&b=2"
UNSUBSCRIBE = f"https://app.example.org/unsubscribe?token={'t' * 400}"

ENVIRONMENT = {
    "EMAIL_SENDER": "mojo@example.org",
    "SES_CONFIGURATION_SET": "mails",
    "MOJODEX_WEBAPP_URI": WEB_APP,
}
SETTINGS = EmailSettings.from_environment(ENVIRONMENT)

ATTACKS = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    '" onclick="alert(1)',
    "' style='display:none",
    '<div style="display:none">',
    "<!-- ",
    "-->",
    "<![CDATA[",
    "</style><style>*{display:none}",
    "{{ 7 * 7 }}{% raw %}",
    "{date}%s",
    "&lt;b&gt;&#x3c;i&#x3e;",
    "https://evil.example/x?y=z",
    "HTTPS://EVIL.EXAMPLE",
    "javascript:alert(1)",
    "java\u200bscript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "mailto:evil@evil.example",
    "www.evil.example",
    "evil.example/path",
    "a.b.evil.co.uk",
    "1.2.3.4:80/x",
    "[click](https://evil.example)",
    "\r\nBcc: evil@evil.example",
    "\nSubject: other\n\nbody",
    "\u2028Bcc: evil@evil.example\u2029",
    "=?utf-8?q?=0D=0ABcc:evil@evil.example?=",
    "=?utf-8?b?DQpCY2M6eA==?=",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\ufeff\u00ad\u200e",
    "\U000e0041\U000e007f",
    "\x00\x1b[31m\x85\x7f",
    "\ud800",
    "\udfff\ud83d",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇫🇷",
    "e" + "\u0301" * 50,
    "x" * 10_000,
    "word " * 2_000,
    "، النص العربي",
    "--\n-- \n.\n",
    '"quoted" <a@b.example>, (comment) ; group:',
]
HOSTILE = st.lists(
    st.one_of(st.sampled_from(ATTACKS), st.text(max_size=20), st.just(" ")), min_size=0, max_size=6
).map("".join)


def content(**changes: Any) -> Content:
    """A small mail's content."""
    given: dict[str, Any] = {
        "language_code": "en",
        "today": TODAY,
        "subject": "To-dos",
        "greeting": "Hello,",
        "intro": "Here they are.",
        "closing": "Bye.",
        "todos": (TodoLine("Send the offer", "Bob waits.", "Write an offer", None),),
        "moved": (MovedLine("Book the train", "Plan a trip", date(2026, 11, 30), "It is later."),),
        "webapp_uri": WEB_APP,
        "unsubscribe_link": UNSUBSCRIBE,
    }
    return Content(**(given | changes))


def mail(
    given: Content | None = None,
    *,
    settings: EmailSettings = SETTINGS,
    to_name: str | None = "Ada",
    to_address: str = "ada@example.org",
) -> EmailMessage:
    """The mail of this content, checked and parsed."""
    given = given or content()
    raw = as_bytes(
        settings,
        render(given),
        to_name=to_name,
        to_address=to_address,
        unsubscribe_link=given.unsubscribe_link,
        now=NOW,
    )
    return check_mail(raw)


# Cleaning.


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Call\tBob\r\n now ", "Call Bob now"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("a\u202eb\u2066c\u200bd\ufeffe\u00adf", "abcdef"),
        ("a\x00b\x1bc", "abc"),
        ("a\ud800b", "a?b"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627", "\u0645\u06cc\u200c\u062e\u0648\u0627"),
        ("\u200d\u200ca\u200d\u200d\u200db \u200c", "a\u200db"),
        ("👩‍👩‍👧 ok", "👩‍👩‍👧 ok"),
        ("À bientôt\u202f! 10\u00a0€", "À bientôt\u202f! 10\u00a0€"),
        ("see https://evil.example/a?b now", "see […] now"),
        ("see (HTTP://evil.example)", "see ([…])"),
        ("看https://evil.example/路，然后", "看[…]路，然后"),
        ("ftp://x, xmpp-y+z.1://q", "[…] […]"),
        ("javascript:alert(1)", "[…](1)"),
        ("java\u200bscript:alert", "[…]"),
        ("mailto:bob@x.org", "[…]"),
        ("www.evil.example", "[…]"),
        ("New data: the figures; tel: soon", "New data: the figures; tel: soon"),
        ("foo.com and a.b.example/path", "foo.\u2060com and a.\u2060b.\u2060example/path"),
        ("bob@foo.com", "bob@foo.\u2060com"),
        ("1.2.3.4", "1.\u20602.\u20603.4"),
        ("3.5 hours. Dr. Smith. Done...", "3.5 hours. Dr. Smith. Done..."),
        ("at 10:30, Note:this", "at 10:30, Note:this"),
    ],
)  # fmt: skip
def test_text_is_cleaned(text: str, cleaned: str) -> None:
    assert plain(text, 100) == cleaned


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("one two three", "one two…"),
        ("one two", "one two"),
        ("one twothree", "one twothr…"),
        ("onetwothreefour", "onetwothre…"),
        ("123456789e\u0301\u0301x", "123456789…"),
        ("12345678👩‍👩‍👧x", "12345678…"),
        ("123456789👍🏽x", "123456789…"),
        ("123456789🇫🇷x", "123456789…"),
        ("e" + "\u0301" * 20, "e" + "\u0301" * 9 + "…"),
        ("文" * 20, "文" * 10 + "…"),
    ],
)
def test_text_is_cut_between_words_or_characters(text: str, cut: str) -> None:
    assert plain(text, 11) == cut


@given(text=HOSTILE, most=st.integers(2, 400))
@example(text="ab" * 10, most=2)
@example(text="a \u200d b", most=9)
def test_clean_text_is_clean(text: str, most: int) -> None:
    cleaned = plain(text, most)

    assert len(cleaned) <= most
    assert cleaned == cleaned.strip()
    assert "  " not in cleaned
    assert "://" not in cleaned
    for character in cleaned:
        assert category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert category(character) != "Cf" or character in "\u200c\u200d\u2060"
    assert plain(cleaned, most).replace("\u2060", "") == cleaned.replace("\u2060", "")


@pytest.mark.parametrize("text", ["a", "a.", "1.", "a:", "http://", "\u200d", "\u0301", "x\u200d", ". a"])
def test_cleaning_takes_time_in_proportion_to_the_text(text: str) -> None:
    started = time.perf_counter()
    plain(text * (200_000 // len(text)), 300)

    assert time.perf_counter() - started < 3


# Settings.


@pytest.mark.parametrize(
    "changes",
    [
        {"EMAIL_SENDER": ""},
        {"EMAIL_SENDER": "Mojo"},
        {"EMAIL_SENDER": "Mojo <mojo@example.org>"},
        {"EMAIL_SENDER": "mojo@example.org, other@example.org"},
        {"EMAIL_SENDER": "mojo@localhost"},
        {"SES_CONFIGURATION_SET": ""},
        {"MOJODEX_WEBAPP_URI": ""},
        {"MOJODEX_WEBAPP_URI": "app.example.org"},
        {"MOJODEX_WEBAPP_URI": "https:///path"},
        {"MOJODEX_WEBAPP_URI": "javascript://x/%0aalert(1)"},
        {"MOJODEX_WEBAPP_URI": "https://app.example.org/a b"},
        {"UNSUBSCRIBE_SECRET_ARN": "", "UNSUBSCRIBE_URL": "https://x.example"},
        {
            "UNSUBSCRIBE_SECRET_ARN": "",
            "UNSUBSCRIBE_URL": "https://x.example",
            "OPERATE_URL": "https://y.example",
        },
        {"UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"OPERATE_URL": "http://y.example", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"OPERATE_URL": "https://y.example/?a=b", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"OPERATE_URL": "https://y.example/#b", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"OPERATE_URL": "y.example"},
        {"UNSUBSCRIBE_URL": "http://x.example", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"UNSUBSCRIBE_URL": "https://x.example/#y", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"UNSUBSCRIBE_URL": "https://x.example/<y>", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"UNSUBSCRIBE_URL": "https://[x.example", "UNSUBSCRIBE_SECRET_ARN": "arn"},
        {"UNSUBSCRIBE_URL": "https://x.example/" + "u" * 400, "UNSUBSCRIBE_SECRET_ARN": "arn"},
    ],
)
def test_a_wrong_setting_fails_at_the_start_by_name(changes: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(changes))) as caught:
        EmailSettings.from_environment(ENVIRONMENT | changes)

    assert "example" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://x.example/u?a=b", "http://localhost:3000/u", "http://127.0.0.1/u", "http://[::1]/u"]
)
def test_the_unsubscribe_page_uses_tls_or_is_on_this_machine(url: str) -> None:
    settings = EmailSettings.from_environment(
        ENVIRONMENT | {"UNSUBSCRIBE_URL": url, "UNSUBSCRIBE_SECRET_ARN": "arn"}
    )

    assert settings.unsubscribe_url == url


# The unsubscribe link.


def with_page(url: str) -> EmailSettings:
    return SETTINGS.model_copy(update={"unsubscribe_url": url, "unsubscribe_secret_arn": "arn"})


def link_of(settings: EmailSettings, user_id: str = "user-1") -> str:
    """The unsubscribe link of a user's mail."""
    found = unsubscribe(settings, user_id, "todo_daily_emails")
    assert found
    return found.link


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://x.example/u", "https://x.example/u?token="),
        ("https://x.example/u?a=b", "https://x.example/u?a=b&token="),
    ],
)
def test_the_unsubscribe_link_carries_a_signed_token(
    monkeypatch: pytest.MonkeyPatch, url: str, start: str
) -> None:
    monkeypatch.setattr(mime, "read_secret", lambda arn: {"signing_key": f"key of {arn}"})

    link = link_of(with_page(url))

    assert link.startswith(start)
    token = link.removeprefix(start)
    said = URLSafeSerializer("key of arn", salt="unsubscribe").loads(token)
    assert said == {"user_id": "user-1", "event_type": "todo_daily_emails"}
    with pytest.raises(BadSignature):
        URLSafeSerializer("another key", salt="unsubscribe").loads(token)
    # A mail can contain it.
    mail(content(unsubscribe_link=link))


def test_without_an_external_page_the_link_leads_to_ours_and_has_no_user_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mime, "read_secret", lambda _arn: {"signing_keys": ["old", "new"]})
    ours = EmailSettings.from_environment(
        ENVIRONMENT | {"OPERATE_URL": "https://api.example/stage/", "UNSUBSCRIBE_SECRET_ARN": "arn"}
    )

    found = unsubscribe(ours, "user-1", "todo_daily_emails")

    assert found
    assert found.link.startswith("https://api.example/stage/unsubscribe?token=")
    token = found.link.partition("token=")[2]
    assert found.token_id
    assert read_token(["old", "new"], token) == read_token(["new"], token) == found.token_id
    assert read_token(["old"], token) is None
    for part in re.split("[.]", token):
        assert b"user-1" not in urlsafe_b64decode(part + "==")
    mail(content(unsubscribe_link=found.link))


def test_an_external_unsubscribe_page_takes_precedence_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "read_secret", lambda _arn: {"signing_keys": ["old", "new"]})
    both = with_page("https://x.example/u").model_copy(update={"operate_url": "https://api.example"})

    found = unsubscribe(both, "user-1", "todo_daily_emails")

    assert found
    assert found.token_id is None
    said = URLSafeSerializer("new", salt="unsubscribe").loads(
        found.link.removeprefix("https://x.example/u?token=")
    )
    assert said == {"user_id": "user-1", "event_type": "todo_daily_emails"}


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"signing_key": ""},
        {"signing_key": 1},
        {"signing_keys": []},
        {"signing_keys": "key"},
        {"signing_keys": ["key", ""]},
    ],
)
def test_without_a_signing_key_the_mail_waits(
    monkeypatch: pytest.MonkeyPatch, secret: dict[str, Any]
) -> None:
    monkeypatch.setattr(mime, "read_secret", lambda _arn: secret)

    with pytest.raises(TransientError, match="signing_key"):
        link_of(with_page("https://x.example/u"))


def test_without_a_page_there_is_no_unsubscribe_link() -> None:
    assert unsubscribe(SETTINGS, "user-1", "todo_daily_emails") is None
    # The same with our own API, if it has no keys.
    alone = SETTINGS.model_copy(update={"operate_url": "https://api.example"})
    assert unsubscribe(alone, "user-1", "todo_daily_emails") is None
    assert "List-Unsubscribe" not in mail(content(unsubscribe_link=None))


@pytest.mark.parametrize(
    "link", ["https://x.example/a b", "https://x.example/>", "ftp://x", "https://x/" + "y" * 999]
)
def test_a_link_that_would_break_its_header_is_refused(link: str) -> None:
    with pytest.raises(PermanentError, match="unsubscribe"):
        mail(content(unsubscribe_link=link))


def test_the_longest_link_that_settings_allow_fits_into_a_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "read_secret", lambda _arn: {"signing_key": "key"})
    url = "https://x.example/".ljust(400, "u")
    user_id = "".join(random.Random(1).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=255))

    mail(content(unsubscribe_link=link_of(with_page(url), user_id)))


# The mail.


def test_a_mail_has_its_headers() -> None:
    message = mail(content(subject="Où est l’offre\u202f?"), to_name="Zoé “Z”, <Zed>")

    assert str(message["From"]) == "Mojo <mojo@example.org>"
    assert message["To"].addresses[0].display_name == "Zoé “Z”, <Zed>"
    assert message["To"].addresses[0].addr_spec == "ada@example.org"
    assert message["Subject"] == "Où est l’offre\u202f?"
    assert message["Date"].datetime == NOW
    assert message["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert mail()["Message-ID"] != mail()["Message-ID"]


@pytest.mark.parametrize("name", [None, "", " \u200b"])
def test_a_user_without_a_name_is_addressed_without_one(name: str | None) -> None:
    assert str(mail(to_name=name)["To"]) == "ada@example.org"


def test_the_parts_of_a_mail_are_the_rendered_texts() -> None:
    rendered = render(content(intro="Ça, c’est 👍 – “good”."))

    message = mail(content(intro="Ça, c’est 👍 – “good”."))

    plain_part, html_part = message.iter_parts()
    assert plain_part.get_content().replace("\r\n", "\n") == rendered.text.removesuffix("\n") + "\n"
    assert html_part.get_content().replace("\r\n", "\n") == rendered.html.removesuffix("\n") + "\n"


@pytest.mark.parametrize(
    ("address", "as_sent"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.O'Neil+x/y=z@Mail.Example.ORG", "Ada.O'Neil+x/y=z@Mail.Example.ORG"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("a" * 64 + "@" + ".".join(["d" * 60] * 3), "a" * 64 + "@" + ".".join(["d" * 60] * 3)),
    ],
)
def test_a_deliverable_address_is_accepted(address: str, as_sent: str) -> None:
    assert check_address(address) == as_sent
    assert mail(to_address=address)["To"].addresses[0].addr_spec == as_sent


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "ada@example",
        "ada@example.org ",
        "ada@example.org\n",
        "ada@example.org\r\nBcc: evil@example.org",
        "ada\0@example.org",
        "ada@exam\u2028ple.org",
        "a da@example.org",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        '"ada"@example.org',
        "Ada <ada@example.org>",
        "ada@example.org,bob@example.org",
        "ada@example.org;bob@example.org",
        "group:ada@example.org;",
        "ada(comment)@example.org",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@-example.org",
        "ada@example..org",
        "ada@.example.org",
        "ada@exa_mple.org",
        "adä@example.org",
        "=?utf-8?q?x?=@example.org",
        "a" * 65 + "@example.org",
        "ada@" + "d" * 64 + ".org",
        "ada@" + ".".join(["d" * 60] * 5),
        "ada@" + "ü." * 120 + "org",
        "ada@\ud800.org",
        "ada@evil.org\u202e",
        "ada@x\uff1e\uff0c\uff1cvictim\uff20evil.org",
        "ada@x\u00a0y\uff20evil.org",
        "ada@x\uff02@evil.org",
    ],
)
def test_an_undeliverable_address_is_refused(address: str) -> None:
    with pytest.raises(PermanentError) as caught:
        mail(to_address=address)

    assert str(caught.value) == "the user's e-mail address is not valid"


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(HOSTILE, min_size=10, max_size=10))
@example(texts=["=?utf-8?q?=0D=0ABcc:evil@evil.example?="] * 10)
@example(texts=["x" * 10_000] * 10)
@example(texts=["\ud800\u202e\r\nBcc: x@y.example"] * 10)
@example(texts=["é" * 400] * 10)
def test_hostile_text_does_not_change_the_structure_of_a_mail(texts: list[str]) -> None:
    subject, greeting, intro, closing, description, line, title, reason, name, sender = texts
    given = content(
        subject=subject,
        greeting=greeting,
        intro=intro,
        closing=closing,
        todos=(TodoLine(description, line, title, TODAY),) * 3,
        moved=(MovedLine(description, title, TODAY, reason),) * 2,
    )

    message = mail(given, settings=SETTINGS.model_copy(update={"email_sender_name": sender}), to_name=name)

    assert message["To"].addresses[0].addr_spec == "ada@example.org"
    assert message["From"].addresses[0].addr_spec == "mojo@example.org"


def test_a_subject_is_cleaned_when_the_mail_is_built() -> None:
    raw = as_bytes(
        SETTINGS,
        replace(render(content()), subject="a\r\nBcc: x@y.example =?utf-8?q?=0A?="),
        to_name=None,
        to_address="ada@example.org",
        unsubscribe_link=UNSUBSCRIBE,
        now=NOW,
    )

    assert check_mail(raw)["Subject"] == "a Bcc: x@y.\u2060example =?utf-8?q?=0A?="


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"From: ", b"Bcc: x@y.example\r\nFrom: "),
        (b"From: Mojo\r\n", b"From: Mojo\n"),
        (b"Auto-Submitted: auto-generated\r\n", b""),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b""),
        (b"Subject: To-dos", b"Subject: " + b"x" * 1000),
        (b"Subject: To-dos", b"Subject: www.evil.example"),
        (b"Subject: To-dos", b"Subject: =?utf-8?b?4oCu?="),
        (b"utf-8", b"latin-1"),
    ],
)
def test_the_checks_of_a_mail_find_each_fault(there: bytes, instead: bytes) -> None:
    raw = sample_bytes()
    assert there in raw

    with pytest.raises(AssertionError):
        check_mail(raw.replace(there, instead))


@pytest.mark.parametrize(
    "harm",
    [
        "<script>1</script>",
        '<a href="https://evil.example/">x</a>',
        '<div style="display:none">x</div>',
        '<p onclick="x">y</p>',
        "<p>",
        "</td>",
        "<!-- x -->",
        "https://evil.example",
        "evil.example",
        "\u202e",
        '<p style="background:url(x)">y</p>',
        "<h3>not in the text</h3>",
    ],
)
def test_the_checks_of_the_html_find_each_fault(harm: str) -> None:
    rendered = render(content())
    harmed = replace(rendered, html=rendered.html.replace("</body>", f"{harm}</body>"))

    with pytest.raises(AssertionError):
        check_mail(sample_bytes(harmed))


def sample_bytes(rendered: Rendered | None = None) -> bytes:
    return as_bytes(
        SETTINGS,
        rendered or render(content()),
        to_name="Ada",
        to_address="ada@example.org",
        unsubscribe_link=UNSUBSCRIBE,
        now=NOW,
    )
